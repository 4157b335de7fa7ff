/* SPDX-License-Identifier: MIT */
/*
 * One thread's idle objects of one pool: an array with room for two batches. Only its thread writes it; the statistics
 * thread reads `top` and the counters. A spill and a refill move exactly one batch, so a thread that swings over the edge
 * of a batch does not touch the depot:
 *
 *	slot[0 ........ 15][16 ........ 31]		full: the younger half goes
 *	                    ^ top after a spill		empty: refill to here; 16 more fit, 16 can go
 *
 * The idea: Bonwick's two magazines a thread, `loaded` and `previous`, as one array without the swap.
 *
 * Every change is between cache_close and cache_open, also on the fast path. A signal handler that interrupts its own
 * thread there finds the cache closed, and does without it. cache_close reads and marks `top` in one instruction, which a
 * signal cannot divide; it needs no lock prefix, because other threads never write.
 *
 * The code that found the cache open owns it until it opens it again; also if a handler switches to another context of
 * the same thread, such as a user thread, and that one comes here. So the caller keeps what cache_close returned, and
 * never reads `top` again: another context may have closed and opened the cache since.
 */
#ifndef COPOOL_POOL_CACHE_H
#define COPOOL_POOL_CACHE_H

#include "pool/counters.h"
#include "pool/depot.h"
#include "pool/owner_word.h"
#include "pool/stock.h"

enum {
	CACHE_SLOTS = 2 * BATCH_SIZE,
	CACHE_BUSY = 64, /* subtracted from `top` while it is closed, by each nested close again */
	CACHE_COUNT = CACHE_BUSY - 1, /* the bits that hold the number of objects, busy or not */
	CACHE_NONE = -(1 << 30),      /* the `top` where a thread has no cache: see cache_is_one */
};

/* Never crosses a page, so fork's child finds a state of another thread's cache that it really had. */
struct cache {
	_Alignas(512) _Atomic int64_t top; /* slot[0 .. top) hold objects, the youngest last */
	struct counters counters;
	struct depot_spares spares;
	struct stock_own own; /* of the program's own pool */
	_Alignas(64) void *slot[CACHE_SLOTS];
};

_Static_assert(sizeof(struct cache) == 512, "a page must hold whole caches");

/* Closes the cache. Returns how many objects it holds, or less than 0 if it was closed already. */
static inline int64_t cache_close(struct cache *cache)
{
	return owner_exchange_add(&cache->top, -CACHE_BUSY);
}

/* Opens a cache that cache_close found open, and that holds `top` objects now. */
static inline void cache_open(struct cache *cache, int64_t top)
{
	/* [cache.top] release: the slots before it; pairs with cache_count in the child of a fork. */
	atomic_store_explicit(&cache->top, top, memory_order_release);
}

/* Sets how many objects a closed cache holds; it stays closed. */
static inline void cache_hold(struct cache *cache, int64_t top)
{
	cache_open(cache, top - CACHE_BUSY);
}

/*
 * Whether cache_close has found a thread's cache, open or not. Threads without one all share thread_closed: its `top` is
 * CACHE_NONE minus CACHE_BUSY for each of them that has it closed.
 */
static inline bool cache_is_one(int64_t top)
{
	return top > CACHE_NONE / 2;
}

/*
 * Undoes a cache_close that found `top`. If the cache was closed before, another context of the thread may have opened it
 * since, and closed it again: then there is nothing to undo, and nothing may be written.
 */
static inline void cache_reopen(struct cache *cache, int64_t top)
{
	if (cache_is_one(top) && top < 0)
		owner_replace(&cache->top, top - CACHE_BUSY, top);
	else
		cache_open(cache, cache_is_one(top) ? top : CACHE_NONE);
}

/* Takes the youngest object of a closed cache that holds `top` of them, at least one, and opens it. */
static inline void *cache_take(struct cache *cache, int64_t top)
{
	void *object = cache->slot[top - 1];

	cache_open(cache, top - 1);
	/* After it: a thread that reads both in between concludes that less was put than was, never more. */
	counter_bump(&cache->counters.taken);
	return object;
}

/* Adds an object to a closed cache that holds `top` of them and has room, and opens it. */
static inline void cache_put(struct cache *cache, int64_t top, void *object)
{
	cache->slot[top] = object;
	cache_open(cache, top + 1);
}

/* Returns how many objects it holds. Any thread; the cache's own thread may change that at once. */
static inline unsigned cache_count(const struct cache *cache)
{
	/* [cache.top] acquire: the slots before it; pairs with cache_open. */
	return atomic_load_explicit((_Atomic int64_t *)&cache->top, memory_order_acquire) & CACHE_COUNT;
}

/* Removes the `count` youngest objects, which do not count as taken, and opens the cache. */
static inline void cache_leave(struct cache *cache, unsigned count)
{
	cache_open(cache, cache_count(cache) - count);
	counter_add(&cache->counters.left, count);
}

/*
 * For a thread that ends. If the cache is closed, siglongjmp or pthread_exit in a signal handler has left its user in the
 * middle. Its objects may also be in the depot, or in use by the program: so they are left alone.
 */
static inline void cache_end(struct cache *cache)
{
	/* [cache.top] relaxed: the caller's own. */
	int64_t top = atomic_load_explicit(&cache->top, memory_order_relaxed);

	if (top >= 0)
		return;
	depot_spares_set(&cache->spares, 0);
	cache_leave(cache, top & CACHE_COUNT);
}

#endif
