/* SPDX-License-Identifier: MIT */
/* Writing in a thread of the program's. */
#ifndef COPOOL_REPORT_QUIET_H
#define COPOOL_REPORT_QUIET_H

/*
 * Nothing that is written by the host's own thread gets it a signal: a broken pipe, a limit on file sizes; or
 * a terminal that stops who writes from the background, which then takes it without a word.
 */
void quietly(void (*write)(void));

#endif
