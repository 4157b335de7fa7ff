/* SPDX-License-Identifier: MIT */
/*
 * Where a thread's cache cannot serve alone. All of these are for the calling thread, which has closed the cache in its
 * block `thread` and found `top`. That tells the cases apart:
 *
 *	top		the cache				a take goes to		a put goes to
 *	1 .. 31		has objects and room			cache_take		cache_put
 *	0		is empty				pool_refill		cache_put
 *	32		is full					cache_take		pool_spill
 *	below 0		was closed: this is a signal handler,	pool_take_shared	pool_put_shared
 *			in the middle of its thread's use of it
 *	cache_is_one	is none: the thread uses pools for the	pool_take_shared	pool_put_shared
 *	is false	first time, or has ended
 *
 * When the depot has no batch, a refill goes on to pool_take_shared; when it has no room, a spill to pool_put_shared.
 * The depot is asked once for an object. errno survives all of these, except for what the kind's functions do to it.
 */
#ifndef COPOOL_POOL_SLOW_PATH_H
#define COPOOL_POOL_SLOW_PATH_H

#include "pool/pool.h"

/*
 * Moves a batch from the depot to an empty cache, or from a full cache to the depot. Returns how many objects the cache
 * holds now, still closed; `top` if the depot refused, or if the cache is in another case.
 */
int64_t pool_refill(struct pool *pool, struct thread *thread, int64_t top);
int64_t pool_spill(struct pool *pool, struct thread *thread, int64_t top);

/*
 * Opens the cache, or leaves it to the code that had closed it before. Returns an idle object from what threads share,
 * NULL if there is none; or gives an object to what threads share, and destroys it if that has no room. A thread that
 * uses a pool for the first time gets its caches here, and is served by them.
 */
void *pool_take_shared(struct pool *pool, struct thread *thread, int64_t top);
void pool_put_shared(struct pool *pool, struct thread *thread, void *object, int64_t top);

/* pool_take_shared, or else pool_make. */
void *pool_get_shared(struct pool *pool, struct thread *thread, int64_t top);

/*
 * The rest of pool_take and pool_put after cache_close(), in one call, for machine code: refill or spill, and then the
 * cache or what threads share.
 */
void *pool_take_slow(struct pool *pool, struct cache *cache, int64_t top);
void pool_put_slow(struct pool *pool, struct cache *cache, void *object, int64_t top);

#endif
