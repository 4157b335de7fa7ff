/* SPDX-License-Identifier: MIT */
/*
 * Getting and putting objects: the fast path, inlined. What the thread's cache cannot serve goes to slow_path.h. In all
 * of these `index` is the pool's; the fast path is shorter where it is a constant.
 */
#ifndef COPOOL_POOL_FAST_PATH_H
#define COPOOL_POOL_FAST_PATH_H

#include "pool/slow_path.h"

/*
 * An idle object, the caller's from then on; NULL when there is none. `index` is the pool's, a constant where
 * the fast path shall be short.
 */
static inline void *pool_take(struct pool *pool, unsigned index)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect(top <= 0, 0) && (top = pool_refill(pool, thread, top)) <= 0)
		return pool_take_rarely(pool, thread, top);
	return cache_take(cache, top);
}

/* An idle object, or else a new one from kind->make, or NULL with its errno. */
static inline void *pool_get(struct pool *pool, unsigned index)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect(top <= 0, 0) && (top = pool_refill(pool, thread, top)) <= 0)
		return pool_get_rarely(pool, thread, top);
	return cache_take(cache, top);
}

/* Gives an object to the pool: it stays idle in it, or is destroyed. */
static inline void pool_put(struct pool *pool, unsigned index, void *object)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect((uint64_t)top >= CACHE_SLOTS, 0) &&
	        (uint64_t)(top = pool_spill(pool, thread, top)) >= CACHE_SLOTS) {
		pool_put_rarely(pool, thread, top, object);
		return;
	}
	cache_put(cache, top, object);
}

/*
 * Keeps an object in the calling thread's own cache, where no other thread can take it; false: the cache cannot
 * have it, and it is the caller's still.
 */
bool pool_keep(struct pool *pool, unsigned index, void *object);

/* The host answered a system call of the program's without making it. */
static inline void pool_count_saved(unsigned index)
{
	counter_bump(&thread_self->cache[index].counters.calls_saved);
}

#endif
