/* SPDX-License-Identifier: MIT */
/*
 * A stack of ours for calls that need too much of the program's: its threads may run on a coroutine's stack of 16
 * KiB, nearly all of which the program itself uses.
 */
#ifndef COPOOL_LIBC_ELSEWHERE_H
#define COPOOL_LIBC_ELSEWHERE_H

/* Called once, from the constructor. */
void elsewhere_init(void);

/*
 * Runs `run(argument)` on that stack, with all signals blocked except libc's own and faults. If another thread uses
 * it, or there is none, runs it on the caller's stack. Any thread; errno survives unless `run` changes it.
 */
void elsewhere_run(void (*run)(void *argument), void *argument);

/* Calls `function(argument)` in the same way, and returns its result. */
void *elsewhere_call(void *(*function)(const void *argument), const void *argument);

/* In a fork's child: frees the stack, whose owner may not be there. */
void elsewhere_fork_child(void);

#endif
