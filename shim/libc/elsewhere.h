/* SPDX-License-Identifier: MIT */
/*
 * A stack of ours, for what would take too much of the program's: its threads may be on a coroutine's of 16 KiB, of which
 * the program itself needs all but a little.
 */
#ifndef COPOOL_LIBC_ELSEWHERE_H
#define COPOOL_LIBC_ELSEWHERE_H

/* Once, from the constructor. */
void elsewhere_init(void);

/*
 * Runs `run(argument)` on that stack, with all signals blocked but for libc's own and for faults. Where another thread is on it, or it is not to be had, on
 * the caller's own. Any thread; errno survives but for what `run` does to it.
 */
void elsewhere_run(void (*run)(void *argument), void *argument);

/* In a fork's child: nobody else is on it any more. */
void elsewhere_fork_child(void);

#endif
