/* SPDX-License-Identifier: MIT */
/* What every verb that reads logs does with them, and says of them on standard error. */
#ifndef COPOOL_TOOLS_LOG_LOGS_H
#define COPOOL_TOOLS_LOG_LOGS_H

#include "log/book.h"

/*
 * Reads all logs, up to a NULL. What cannot be read is said in the name of "copool VERB" and, where `unread`
 * is an array, appended to it in words. Returns the exit status so far: 1 also when there was no record at
 * all.
 */
int logs_read(struct book *book, const char *verb, char **logs, json_t *unread);

/* The same of one log, without that last word: 0 or 1. */
int logs_read_one(struct book *book, const char *verb, const char *log, json_t *unread);

/* That last word: the exit status when it was `status` so far. */
int logs_check(const struct book *book, const char *verb, int status);

/* Says what was wrong with the logs' content. */
void logs_tell(const struct book *book, const char *verb);

#endif
