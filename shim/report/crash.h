/* SPDX-License-Identifier: MIT */
/*
 * A fault inside copool leaves a line on standard error that names copool and how to do without it. The
 * program then dies as it would have anyway: of the same signal, at the same instruction, with its own core
 * file.
 *
 * For that a handler is installed, where asked for (COPOOL_CRASH_NOTE), for signals that the program has left
 * to the system. The program does not see it: sigaction() and its like go on saying SIG_DFL, and a handler of
 * the program's own takes its place. Any thread may call all but crash_start().
 */
#ifndef COPOOL_REPORT_CRASH_H
#define COPOOL_REPORT_CRASH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Once, from the constructor. `is_moved` says whether an address is among code that we wrote. */
void crash_start(bool (*is_moved)(uintptr_t address));

/* In our own thread, whose faults are ours wherever they happen. */
void crash_know_thread(void);

/* What the program gets to see: as sigaction(), and as functions that return an old handler. */
int hook_sigaction(int signal, const struct sigaction *action, struct sigaction *old);
sighandler_t hook_handler(sighandler_t old);

#endif
