/* SPDX-License-Identifier: MIT */
/* Idle objects without a thread: of one that has ended, or that a fork's child does not have. */
#ifndef COPOOL_POOL_RETIRE_H
#define COPOOL_POOL_RETIRE_H

#include <stdbool.h>

struct pool;
struct thread;

/*
 * Empties the caches in a thread's block: whole batches to the depot, the rest to the remainder; what has no room there is
 * given back. The caller is that thread, at its end; or, not is_own, a fork's child that inherits the block.
 */
void retire_thread(struct thread *thread, bool is_own);

/* In a fork's child: the same with the batch that was on its way back to the system. */
void retire_leaving(struct pool *pool);

#endif
