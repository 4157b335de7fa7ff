/* SPDX-License-Identifier: MIT */
/*
 * Getting and putting objects, by any thread. The thread's cache serves most calls, here, inlined; slow_path.h has the other
 * cases.
 * `index` is the pool's; the fast path is shorter where it is a constant.
 *
 * All three end with cache_take() or cache_put() whether or not the depot had to help: so it is always the same
 * instruction that opens the cache. Processors predict which store a load will read, and are right then; patterns that
 * go to the depot take a tenth less time.
 */
#ifndef COPOOL_POOL_FAST_PATH_H
#define COPOOL_POOL_FAST_PATH_H

#include "pool/slow_path.h"

/* Returns an idle object, which belongs to the caller from then on; NULL if there is none. */
static inline void *pool_take(struct pool *pool, unsigned index)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect(top <= 0, 0) && (top = pool_refill(pool, thread, top)) <= 0)
		return pool_take_shared(pool, thread, top);
	return cache_take(cache, top);
}

/* Returns an idle object, or else a new one from kind->make, or NULL with its errno. */
static inline void *pool_get(struct pool *pool, unsigned index)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	/* Not by pool_take: all calls would test what it returns. */
	if (__builtin_expect(top <= 0, 0) && (top = pool_refill(pool, thread, top)) <= 0)
		return pool_get_shared(pool, thread, top);
	return cache_take(cache, top);
}

/* Gives an object to the pool: it stays idle there, or is destroyed. */
static inline void pool_put(struct pool *pool, unsigned index, void *object)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect((uint64_t)top >= CACHE_SLOTS, 0) &&
	        (uint64_t)(top = pool_spill(pool, thread, top)) >= CACHE_SLOTS)
		pool_put_shared(pool, thread, object, top);
	else
		cache_put(cache, top, object);
}

/*
 * Keeps an object in the calling thread's own cache, where no other thread can take it. Returns false when the cache
 * cannot have it: then the object is still the caller's.
 */
static inline bool pool_keep(struct pool *pool, unsigned index, void *object)
{
	struct thread *thread = thread_current();
	struct cache *cache;
	int64_t top;

	if (thread == NULL)
		return false;
	cache = &thread->cache[index];
	top = pool_spill(pool, thread, cache_close(cache));
	if ((uint64_t)top >= CACHE_SLOTS) {
		cache_reopen(cache, top);
		return false;
	}
	cache_put(cache, top, object);
	return true;
}

/* The adapter answered a system call of the program without making it. */
static inline void pool_count_saved(unsigned index)
{
	counter_bump(&thread_self->cache[index].counters.calls_saved);
}

#endif
