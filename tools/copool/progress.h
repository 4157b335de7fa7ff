/* SPDX-License-Identifier: MIT */
/*
 * How far a verb that takes long has come, in one line on standard error: only where that is a terminal that can erase a
 * line, only after a while, and gone when the verb goes on or is ended by a signal. One thread.
 */
#ifndef COPOOL_TOOLS_PROGRESS_H
#define COPOOL_TOOLS_PROGRESS_H

#include <stdint.h>

/* Something that may take long begins now. */
void progress_begin(void);

/* What is being done; may be called as often as one likes. Nothing in it may steer a terminal. */
__attribute__((format(printf, 1, 2))) void progress_say(const char *format, ...);

/* So much of `all` bytes has been read; `all` is 0 when it is not known. `name` may hold anything. */
void progress_bytes(const char *name, uint64_t done, uint64_t all);

/* It is over: the line is erased. */
void progress_end(void);

#endif
