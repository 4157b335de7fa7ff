/* SPDX-License-Identifier: MIT */
/* Reads the logs of a command line, and reports problems with them on standard error. */
#ifndef COPOOL_TOOLS_LOG_LOGS_H
#define COPOOL_TOOLS_LOG_LOGS_H

#include "log/book.h"

/*
 * Reads all logs, up to a NULL. For each that cannot be read there is a message from "copool VERB", which is also
 * appended to the array `unread`, unless that is NULL. Returns the exit status so far: 1 also if there was no record.
 */
int logs_read(struct book *book, const char *verb, char **logs, json_t *unread);

/* The same for one log, without the last check. */
int logs_read_one(struct book *book, const char *verb, const char *log, json_t *unread);

/* The last check: returns the exit status, given the `status` so far. */
int logs_check(const struct book *book, const char *verb, int status);

/* Reports what was wrong with the logs' content. */
void logs_tell(const struct book *book, const char *verb);

#endif
