/* SPDX-License-Identifier: MIT */
/*
 * Whether a thread may be created now: not in a signal handler. It may have interrupted malloc, which pthread_create()
 * needs.
 */
#ifndef COPOOL_REPORT_MOMENT_H
#define COPOOL_REPORT_MOMENT_H

#include <stdbool.h>

/* The process's first thread calls this, outside of signal handlers. */
void moment_know(void);

/*
 * Whether the calling thread seems to be in a signal handler: a signal that has one is blocked. A thread that always
 * blocks such a signal looks the same; then another thread must create ours. Any thread. Uses little stack; errno
 * survives.
 */
bool moment_is_handler(void);

#endif
