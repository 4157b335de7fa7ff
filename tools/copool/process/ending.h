/* SPDX-License-Identifier: MIT */
/*
 * Ending by a signal whatever is being waited for: the system may not let a thread go (a file system that does not answer,
 * a terminal that is stopped), and then runs no handler in it either. So another thread waits for the signals.
 */
#ifndef COPOOL_TOOLS_PROCESS_ENDING_H
#define COPOOL_TOOLS_PROCESS_ENDING_H

/*
 * From now on SIGINT, SIGTERM, SIGHUP and SIGQUIT are waited for by a thread of their own; called before any other thread
 * is started. The caller's thread, which is woken, has a second to end the process; then `abandon` is called, which may
 * take no lock, and the process ends.
 */
void ending_watch(void (*abandon)(void));

/* The signal that has come, or 0. */
int ending_signal(void);

/* The exit status of a command that such a signal has ended, as the shell expects it; 0 where none came, or SIGINT. */
int ending_status(void);

#endif
