/* SPDX-License-Identifier: MIT */
/* The slow paths of a pool: where a thread's cache cannot serve alone. */
#ifndef COPOOL_POOL_SLOW_PATH_H
#define COPOOL_POOL_SLOW_PATH_H

#include "pool/pool.h"

/*
 * The first resort of the three below, which have closed the cache of the calling thread's block, have found `top`,
 * and cannot go on: a batch comes from the depot, or goes to it. They return how many objects the cache, still closed,
 * then holds; `top` when that is not to be had. They leave the last step to the fast path, so that it is always the
 * same instruction that opens the cache: processors guess which store a load will read, and are right then;
 * bench-pools' patterns that go to the depot take a tenth less.
 */
int64_t pool_refill(struct pool *pool, struct thread *thread, int64_t top);
int64_t pool_spill(struct pool *pool, struct thread *thread, int64_t top);

/*
 * The last resort, with the block whose cache was closed, and what those two returned. errno survives but for what
 * kind->make does to it.
 */
void *pool_take_rarely(struct pool *pool, struct thread *thread, int64_t top);
void *pool_get_rarely(struct pool *pool, struct thread *thread, int64_t top);
void pool_put_rarely(struct pool *pool, struct thread *thread, int64_t top, void *object);

/* One after the other, for code that can only jump to where all is done, with the cache that it has closed. */
void *pool_take_slow(struct pool *pool, struct cache *cache, int64_t top);
void pool_put_slow(struct pool *pool, struct cache *cache, void *object, int64_t top);

#endif
