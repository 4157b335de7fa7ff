/* SPDX-License-Identifier: MIT */
/*
 * Simulates the program's own pool where ours replaces it: how many objects it would have made and destroyed. A hit of ours
 * saves system calls only if that pool would have missed.
 *
 *	STOCK_LISTS	one list for all takes destroyed objects, up to twice `size`; then the thread's own list, up to
 *			`size`. A create takes from the thread's own list; if that is empty, the thread takes over the
 *			whole list for all, if it has more than `batch` objects.
 *	STOCK_BATCHES	two batches a thread. If they overflow, a batch goes to a list for all, while that has less
 *			than `size` objects.
 *
 * The fast path does nothing for it. When a thread changes from refills to spills or back, and after a few of the same,
 * the slow path sees how many creates and destroys its cache has served since the last time, and plays them. Their order
 * is unknown. If the cache got or gave a batch since then, its level may have varied by all that it can hold; otherwise it
 * was empty or full and could not vary. So the result is an estimate. It is accurate to a few objects for bursts, which a
 * pool of fixed size serves worst; it may be less accurate where the program's pool is just large enough.
 *
 * cache.h includes this header for struct stock_own, and stock.c includes the pool: the estimate reads the counters of the
 * cache that it is a part of.
 */
#ifndef COPOOL_POOL_STOCK_H
#define COPOOL_POOL_STOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The program's pool; what all threads share of it. The adapter writes all but `shared`, before pool_start. */
struct stock {
	enum { STOCK_LISTS, STOCK_BATCHES } way;
	unsigned batch;                     /* see above */
	const _Atomic unsigned *size;       /* the program's own variable, which it may change at any time */
	unsigned most;                      /* a larger size counts as this */
	unsigned make_calls, destroy_calls; /* system calls that an object takes */
	_Atomic int shared;                 /* objects in the list for all; may be below 0 for a moment */
};

/* What one thread has of it; written by that thread, read by the statistics thread. */
struct stock_own {
	_Atomic uint64_t taken, put; /* creates and destroys of its cache that have been played */
	_Atomic uint64_t moved;      /* batches that its cache had got and given away by then */
	_Atomic unsigned idle;       /* objects in its own list, or its batches */
	_Atomic int events; /* refills since it last spilled; or spills since it last refilled, below 0 */
};

enum { STOCK_EVENTS = 4 }; /* refills, or spills, that are played together */

/* A pool as one thread sees it, and what happens to it. */
struct stock_run {
	const struct stock *stock;
	unsigned size; /* now */
	unsigned idle, shared;
	uint64_t made, destroyed; /* objects that the program's pool could not serve, or not keep */
};

/*
 * Plays creates and destroys of one thread, whose order is unknown: as pairs, except for `swing` of each. Of
 * these the creates come last, or else the destroys.
 */
void stock_play(
        struct stock_run *run, uint64_t creates, uint64_t destroys, unsigned swing, bool is_create_last);

struct pool;
struct cache;

/* Counts a refill, or else a spill. Returns whether it is time to play. */
static inline bool stock_is_due(struct stock_own *own, bool is_refill)
{
	/* [stock] relaxed: its thread's own. */
	int events = atomic_load_explicit(&own->events, memory_order_relaxed);
	bool is_due =
	        is_refill ? events <= 0 || events >= STOCK_EVENTS : events >= 0 || events <= -STOCK_EVENTS;

	events = is_due ? 0 : events;
	atomic_store_explicit(&own->events, is_refill ? events + 1 : events - 1, memory_order_relaxed);
	return is_due;
}

/* Plays what the cache has served. The calling thread has closed it, empty or full, and it holds `top`. */
void stock_catch_up(struct pool *pool, struct cache *cache, unsigned top);

/* Plays one create or destroy of the calling thread that its cache has not served. */
void stock_create(struct pool *pool);
void stock_destroy(struct pool *pool);

/* The cache's thread has ended, or, not is_own, does not exist in the fork's child. The cache must be empty. */
void stock_end(struct pool *pool, struct cache *cache, bool is_own);

/* For a reader: system calls to add to those counted, for creates and destroys not yet played. */
uint64_t stock_pending(const struct pool *pool, const struct cache *cache, uint64_t taken, uint64_t put);

#endif
