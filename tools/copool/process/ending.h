/* SPDX-License-Identifier: MIT */
/*
 * Ends on a signal, whatever the command waits for. The system may not let a thread go (a file system that does not
 * answer, a stopped terminal), and then runs no handler in it either. So another thread waits for the signals.
 */
#ifndef COPOOL_TOOLS_PROCESS_ENDING_H
#define COPOOL_TOOLS_PROCESS_ENDING_H

/*
 * From now on a thread waits for SIGINT, SIGTERM, SIGHUP and SIGQUIT. Must be called before any other thread is
 * started. The caller's thread is woken, and has a second to end the process; then `abandon` is called, which must
 * take no lock, and the process ends.
 */
void ending_watch(void (*abandon)(void));

/* The signal that has arrived, or 0. */
int ending_signal(void);

/* The exit status after such a signal, as the shell expects it; 0 if none arrived, or SIGINT. */
int ending_status(void);

#endif
