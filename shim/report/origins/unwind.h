/* SPDX-License-Identifier: MIT */
/*
 * The call stacks of the program, as far as their code says how to follow them; also those of coroutines,
 * however small they are. The one door of libunwind.
 *
 * A failure here is warned of, and costs origins and nothing else. errno survives where threads of the
 * program call.
 */
#ifndef COPOOL_REPORT_ORIGINS_UNWIND_H
#define COPOOL_REPORT_ORIGINS_UNWIND_H

#include "report/origins/callers.h"

/*
 * Loads libunwind; for the constructor. The innermost frames in the object that `own` is in are left out.
 * False: libunwind is not to be had, or lacks something.
 */
bool unwind_load(const void *own);

/*
 * In the statistics thread: from now on stacks are recorded. libunwind opens a pipe for itself when it is
 * first used, which must not be in the program's table of descriptors: `is_private` says that this thread's
 * is not.
 */
void unwind_begin(bool is_private);

/*
 * The number of the calling thread's stack in the callers; that of what is not
 * known of the pool when stacks are not recorded (yet), or when another thread is at it. Any thread.
 */
unsigned unwind_record(struct callers *callers, unsigned pool);

/* Whether the caller is the recording itself: what libunwind does there may come back to the pools. */
bool unwind_is_inside(void);

/* Around fork, as pool_fork_prepare and its like. */
void unwind_fork_prepare(void);
void unwind_fork_parent(void);
void unwind_fork_child(void);

#endif
