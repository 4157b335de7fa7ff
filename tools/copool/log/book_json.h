/* SPDX-License-Identifier: MIT */
#ifndef COPOOL_TOOLS_LOG_BOOK_JSON_H
#define COPOOL_TOOLS_LOG_BOOK_JSON_H

#include "log/book.h"

/* Returns a new reference; NULL without memory. */
json_t *book_as_json(const struct book *book);

/* A string of text that may not be UTF-8, such as a path: then `?` replaces the bad bytes. */
json_t *json_text(const char *text);

#endif
