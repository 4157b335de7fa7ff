/* SPDX-License-Identifier: MIT */
/* What a book says, as JSON. */
#ifndef COPOOL_TOOLS_LOG_BOOK_JSON_H
#define COPOOL_TOOLS_LOG_BOOK_JSON_H

#include "log/book.h"

/* A new reference; NULL without memory. */
json_t *book_as_json(const struct book *book);

/* A string of what may not be UTF-8, such as a path: then `?` stands for what is not ASCII. */
json_t *json_text(const char *text);

#endif
