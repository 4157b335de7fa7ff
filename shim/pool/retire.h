/* SPDX-License-Identifier: MIT */
/* What becomes of the idle objects that a thread has left: one that has ended, or was lost in a fork. */
#ifndef COPOOL_POOL_RETIRE_H
#define COPOOL_POOL_RETIRE_H

#include <stdbool.h>

struct pool;
struct thread;

/*
 * Empties the caches of a thread's block, whose thread has ended: whole batches to the depot, the rest to the
 * remainder; what finds no room there is given back. The caller is that thread, in its last moments, or, not
 * is_own, a fork's child that inherits the block.
 */
void retire_thread(struct thread *thread, bool is_own);

/* In a fork's child: the same with a batch that was on its way out. */
void retire_leaving(struct pool *pool);

#endif
