/* SPDX-License-Identifier: MIT */
/*
 * Whether now is a moment at which a thread may be made: not in a signal handler, which may have interrupted
 * malloc, which the making of a thread needs.
 */
#ifndef COPOOL_REPORT_MOMENT_H
#define COPOOL_REPORT_MOMENT_H

#include <stdbool.h>

/* Called in the thread that began the process, where it is in no handler. */
void moment_know(void);

/*
 * Whether this looks like a signal handler: its own signal is blocked. A thread that blocks such a signal for good looks
 * the same, and another has to do. Any thread, on as little stack as there may be; errno survives.
 */
bool moment_is_handler(void);

#endif
