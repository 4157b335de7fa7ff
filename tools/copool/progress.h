/* SPDX-License-Identifier: MIT */
/*
 * Shows the progress of a verb that takes long, in one line on standard error: only on a terminal that can erase a line,
 * only after a while, and until the verb goes on or a signal ends it. Only one thread may use it.
 */
#ifndef COPOOL_TOOLS_PROGRESS_H
#define COPOOL_TOOLS_PROGRESS_H

#include <stdint.h>

/* Something begins that may take long. */
void progress_begin(void);

/* Shows what is being done; may be called often. The text must have no control characters. */
__attribute__((format(printf, 1, 2))) void progress_say(const char *format, ...);

/* Shows that `done` of `all` bytes have been read (0: not known). `name` may hold anything. */
void progress_bytes(const char *name, uint64_t done, uint64_t all);

/* Erases the line. */
void progress_end(void);

#endif
