/* SPDX-License-Identifier: MIT */
/* Writing in one of the program's threads. */
#ifndef COPOOL_REPORT_QUIET_H
#define COPOOL_REPORT_QUIET_H

/*
 * Calls `write` such that the calling thread gets no signal for what is written: not for a broken pipe, not for a limit
 * on file sizes, and not from a terminal that stops background processes when they write.
 */
void quietly(void (*write)(void));

#endif
