/* SPDX-License-Identifier: MIT */
/*
 * What the program's own pool would have done, where ours has taken its place: how many objects it would have made
 * and destroyed. A hit of ours saves system calls only where that pool would have missed.
 *
 *	STOCK_LISTS	one list for all, which takes what is destroyed, up to twice `size`; beyond it the
 *			thread's own list, up to `size`. A create takes from the thread's own list; when that is
 *			empty the thread takes over the whole list for all, if more than `batch` lie in it.
 *	STOCK_BATCHES	two batches a thread; what overflows them goes batch by batch to a list for all, while that
 *			holds less than `size`.
 *
 * The fast path knows nothing of it. Where a thread turns from refills to spills or back, and after a few of the same,
 * the slow path looks at how many creates and destroys the thread's cache has served since it last did, and plays
 * them. In which order these came is not known, only that a cache cannot swing by more than it holds: so what comes
 * out is an estimate. Bursts, which are what a pool of fixed size serves worst, it knows to a few objects; it may be
 * wrong by more where the program's pool just suffices.
 */
#ifndef COPOOL_POOL_STOCK_H
#define COPOOL_POOL_STOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The program's pool; what all threads share of it. The host writes all but `shared`, before pool_start. */
struct stock {
	enum { STOCK_LISTS, STOCK_BATCHES } way;
	unsigned batch;                     /* see above */
	const _Atomic unsigned *size;       /* the program's own variable, which it may change at any time */
	unsigned most;                      /* the size counts up to that */
	unsigned make_calls, destroy_calls; /* system calls that an object takes */
	_Atomic int shared; /* objects in the list for all; below 0 for a moment when threads meet */
};

/* What one thread has of it; written by that thread, read by the statistics thread. */
struct stock_own {
	_Atomic uint64_t taken, put; /* creates and destroys of its cache that have been played */
	_Atomic unsigned idle;       /* objects in its own list, or its batches */
	_Atomic int events; /* refills since it last spilled; or spills since it last refilled, below 0 */
};

enum { STOCK_EVENTS = 4 }; /* refills, or spills, that wait to be played */

/* A pool as one thread sees it, and what happens to it. */
struct stock_run {
	const struct stock *stock;
	unsigned size; /* now */
	unsigned idle, shared;
	uint64_t made, destroyed; /* objects that the program's pool could not serve, or not keep */
};

/*
 * Plays `creates` and `destroys` that one thread has done in an unknown order: as pairs, but for as many as a cache can
 * swing by, of which the creates are the last, or the destroys.
 */
void stock_play(struct stock_run *run, uint64_t creates, uint64_t destroys, bool is_create_last);

struct pool;
struct cache;

/* Counts a refill, or else a spill; whether it is time to play. */
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

/* The cache, which the calling thread has closed, holds `top`: none, where it is to be refilled, or all that it can. */
void stock_catch_up(struct pool *pool, struct cache *cache, unsigned top);

/* The calling thread's create or destroy, which its cache has not served. */
void stock_create(struct pool *pool);
void stock_destroy(struct pool *pool);

/* The cache's thread has ended, or, not is_own, is not there after a fork. The cache is empty. */
void stock_end(struct pool *pool, struct cache *cache, bool is_own);

/* For who reads: system calls beside those counted, for creates and destroys not yet played. */
uint64_t stock_pending(const struct pool *pool, const struct cache *cache, uint64_t taken, uint64_t put);

#endif
