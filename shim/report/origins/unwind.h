/* SPDX-License-Identifier: MIT */
/*
 * Records the program's call stacks, coroutines' small stacks included, as far as the code has call frame information.
 * Only this file uses libunwind.
 *
 * If anything fails, a warning says so, and only origins are lost. errno survives in the program's threads.
 */
#ifndef COPOOL_REPORT_ORIGINS_UNWIND_H
#define COPOOL_REPORT_ORIGINS_UNWIND_H

#include "report/origins/callers.h"

/*
 * The constructor calls this to load libunwind. The innermost frames are left out while they are in the object that
 * `own` is in. Returns false if libunwind is missing or lacks a function.
 */
bool unwind_load(const void *own);

/*
 * In the statistics thread: stacks are recorded from now on. libunwind opens a pipe when it is first used, which must
 * not be in the program's descriptor table. `is_private`: the calling thread has a table of its own.
 */
void unwind_begin(bool is_private);

/*
 * Returns the number of the calling thread's stack in `callers`; or the pool's number for unknown stacks, if stacks are
 * not recorded yet or another thread is walking. Any thread.
 */
unsigned unwind_record(struct callers *callers, unsigned pool);

/* Whether the caller is inside unwind_record: libunwind may do something there that enters the pools. */
bool unwind_is_inside(void);

/* Around a fork, like pool_fork_prepare and its counterparts. */
void unwind_fork_prepare(void);
void unwind_fork_parent(void);
void unwind_fork_child(void);

#endif
