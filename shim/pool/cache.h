/* SPDX-License-Identifier: MIT */
/*
 * One thread's idle objects of one pool: an array of two batches' room. Only its thread writes it; the
 * statistics thread reads `top` and the counters. The array spills and refills exactly one batch, so a thread
 * that swings over the edge of a batch does not touch the depot:
 *
 *	slot[0 ........ 15][16 ........ 31]		full: the younger half goes
 *	                    ^ top after a spill		empty: refill to here; 16 more fit, 16 can go
 *
 * The idea: Bonwick's two magazines a thread, `loaded` and `previous`, as one array without the swap.
 *
 * Every change is between cache_close and cache_open, also on the fast path: a signal handler that interrupts
 * its own thread in there finds the cache closed and goes without it. Closing reads and marks `top` by one
 * instruction, which no signal can divide; it needs no lock prefix, as other threads never write.
 *
 * Who has found it open has it alone until he opens it, also when a handler switches to another context of the
 * same thread, a user thread say, and that one or a third goes on here. So what was found is kept, and never
 * read again from `top`: others may have opened and closed the cache since.
 */
#ifndef COPOOL_POOL_CACHE_H
#define COPOOL_POOL_CACHE_H

#include "pool/counters.h"
#include "pool/depot.h"
#include "pool/owner_word.h"
#include "pool/stock.h"

enum {
	CACHE_SLOTS = 2 * BATCH_SIZE,
	CACHE_BUSY = 64,              /* taken off `top` while it is closed; a nested close takes it again */
	CACHE_COUNT = CACHE_BUSY - 1, /* the bits that hold the number of objects, busy or not */
	CACHE_NONE = -(1 << 30),      /* the `top` where a thread has no cache: see cache_is_one */
};

/* Never crosses a page: what fork's child finds of another thread's cache is a state that it really had. */
struct cache {
	_Alignas(512) _Atomic int64_t top; /* slot[0 .. top) hold objects, the youngest last */
	struct counters counters;
	struct depot_spares spares;
	struct stock_own own; /* of the program's own pool */
	_Alignas(64) void *slot[CACHE_SLOTS];
};

_Static_assert(sizeof(struct cache) == 512, "a page must hold whole caches");

/* Closes the cache and returns how many objects it holds, or less than 0 when it was closed already. */
static inline int64_t cache_close(struct cache *cache)
{
	return single_exchange_add(&cache->top, -CACHE_BUSY);
}

/* Opens a cache that cache_close found open; it holds `top` objects now. */
static inline void cache_open(struct cache *cache, int64_t top)
{
	/* [cache.top] release: the slots before it; pairs with cache_count in the child of a fork. */
	atomic_store_explicit(&cache->top, top, memory_order_release);
}

/* A closed cache holds `top` objects now, and stays closed. */
static inline void cache_hold(struct cache *cache, int64_t top)
{
	cache_open(cache, top - CACHE_BUSY);
}

/*
 * Whether cache_close has found a thread's cache, open or not. Where a thread has none, others that
 * have none either close and open the same word: CACHE_NONE, give or take what they take.
 */
static inline bool cache_is_one(int64_t top)
{
	return top > CACHE_NONE / 2;
}

/*
 * Undoes a cache_close that found `top`. If it was closed already, who had closed it may have opened it since, and
 * somebody else closed it again: then nothing is left of what is to be undone, and nothing may be written.
 */
static inline void cache_reopen(struct cache *cache, int64_t top)
{
	if (cache_is_one(top) && top < 0)
		single_replace(&cache->top, top - CACHE_BUSY, top);
	else
		cache_open(cache, cache_is_one(top) ? top : CACHE_NONE);
}

/* Takes the youngest object of a closed cache that holds `top` of them, at least one, and opens it. */
static inline void *cache_take(struct cache *cache, int64_t top)
{
	void *object = cache->slot[top - 1];

	cache_open(cache, top - 1);
	/* Behind it: who reads both in between finds that less was put than was, never more. */
	counter_bump(&cache->counters.taken);
	return object;
}

/* Adds an object to a closed cache that holds `top` of them and has room, and opens it. */
static inline void cache_put(struct cache *cache, int64_t top, void *object)
{
	cache->slot[top] = object;
	cache_open(cache, top + 1);
}

/* How many objects it holds; for any thread, out of date at once unless it is the caller's own. */
static inline unsigned cache_count(const struct cache *cache)
{
	/* [cache.top] acquire: the slots before it, for who reads them; pairs with cache_open. */
	return atomic_load_explicit((_Atomic int64_t *)&cache->top, memory_order_acquire) & CACHE_COUNT;
}

/* A cache gives `count` of its objects away, the youngest first, but not by taking them; it is open then. */
static inline void cache_leave(struct cache *cache, unsigned count)
{
	cache_open(cache, cache_count(cache) - count);
	counter_add(&cache->counters.left, count);
}

/*
 * For a thread that ends. A cache that is closed then was left in the middle, by siglongjmp or pthread_exit out of a
 * signal handler: what lies in it may lie in the depot as well, or in the host's hands, so it stays where it is.
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
