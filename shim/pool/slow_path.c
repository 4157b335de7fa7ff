/* SPDX-License-Identifier: MIT */
/*
 * A thread is inside the gate while it touches what threads share, and outside of it while it calls the adapter's
 * functions. All of these belong to the calling thread; slow_path.h has the cases.
 */
#include "pool/slow_path.h"

#include "pool/control.h"
#include "pool/gate.h"
#include "pool/probe.h"
#include "pool/tally.h"
#include "pool/transfer.h"

/* Whether the program has a pool of its own, which this one replaces. */
static inline bool has_stock(const struct pool *pool)
{
	return __builtin_expect(pool->kind->stock != NULL, 0);
}

/* ---- between a cache and the depot ---- */

/* The thread's cache. Computed once: gcc would do so at each use. */
static inline struct cache *cache_in(struct thread *thread, const struct pool *pool)
{
	struct cache *cache = &thread->cache[pool->index];

	__asm__("" : "+r"(cache));
	return cache;
}

/* Before a refill, or a spill: the cache holds `top`. */
static __attribute__((noinline, cold)) void play_stock(struct pool *pool, struct cache *cache, unsigned top)
{
	if (stock_is_due(&cache->own, top == 0))
		stock_catch_up(pool, cache, top);
}

/* A refill gains an empty node: a thread that has no room for it gives some away before. */
static __attribute__((noinline, cold)) int64_t refill_unstocked(struct pool *pool, struct thread *thread)
{
	struct cache *cache = &thread->cache[pool->index];
	bool has_room;

	gate_step_in(&thread->inside);
	has_room = depot_unstock(&pool->depot, &cache->spares, &cache->counters.depot_retries);
	gate_step_out(&thread->inside);
	return has_room ? pool_refill(pool, thread, 0) : 0;
}

int64_t pool_refill(struct pool *pool, struct thread *thread, int64_t top)
{
	struct cache *cache = cache_in(thread, pool);
	unsigned depth;
	bool is_found;

	if (top != 0)
		return top;
	if (has_stock(pool))
		play_stock(pool, cache, 0);
	if (__builtin_expect(depot_spares_count(&cache->spares) == DEPOT_SPARES, 0))
		return refill_unstocked(pool, thread);
	gate_step_in(&thread->inside);
	is_found = transfer_pop(&pool->depot, cache->slot, &cache->spares, &depth, &gate.closed,
	        &cache->counters.depot_retries);
	if (is_found) {
		/* In this order: as in cache_take. */
		counter_bump(&cache->counters.create_depot);
		cache_hold(cache, BATCH_SIZE);
	}
	gate_step_out(&thread->inside);
	if (is_found)
		PROBE(refill, pool->kind->name, depth);
	depot_note_low(&pool->depot, depth);
	return is_found ? BATCH_SIZE : 0;
}

/* A spill needs an empty node: a thread that has none gets some before. */
static __attribute__((noinline, cold)) int64_t spill_stocked(struct pool *pool, struct thread *thread)
{
	struct cache *cache = &thread->cache[pool->index];
	bool has_node;

	gate_step_in(&thread->inside);
	has_node = depot_stock(&pool->depot, &cache->spares, &cache->counters.depot_retries);
	gate_step_out(&thread->inside);
	return has_node ? pool_spill(pool, thread, CACHE_SLOTS) : CACHE_SLOTS;
}

/* The younger batch goes. */
int64_t pool_spill(struct pool *pool, struct thread *thread, int64_t top)
{
	struct cache *cache = cache_in(thread, pool);
	unsigned depth, limit;

	if (top != CACHE_SLOTS)
		return top;
	if (has_stock(pool))
		play_stock(pool, cache, CACHE_SLOTS);
	limit = control_limit(pool->max_batches);
	/* A full depot is left alone: it is no reason to write to shared lines, or to map a node. */
	if (depot_depth(&pool->depot) >= limit)
		return CACHE_SLOTS;
	if (__builtin_expect(depot_spares_count(&cache->spares) == 0, 0))
		return spill_stocked(pool, thread);
	gate_step_in(&thread->inside);
	depth = transfer_push(&pool->depot, cache->slot + BATCH_SIZE, limit, &cache->spares, &gate.closed,
	        &cache->counters.depot_retries);
	if (depth > 0) {
		cache_hold(cache, BATCH_SIZE);
		counter_bump(&cache->counters.destroy_depot);
	}
	gate_step_out(&thread->inside);
	if (depth == 0)
		return CACHE_SLOTS;
	PROBE(spill, pool->kind->name, depth);
	depot_note_high(&pool->depot, depth);
	/* What lies in the depot may be spare one day: the clock of the trimming must run. */
	pool_wake();
	return BATCH_SIZE;
}

/* ---- without the cache ---- */

/* [counter] relaxed: a statistic; pairs with pool_read. */
static void count(_Atomic uint64_t *counter, uint64_t amount)
{
	if (amount > 0)
		atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/*
 * An object that ended threads have left, or, unless `depot` is NULL, from a batch that the depot gives. `inside` as for
 * gate_enter. Most often there is nothing, and a look without the gate's locked instruction tells.
 */
static void *take_remainder(struct pool *pool, struct depot *depot, _Atomic uint32_t *inside)
{
	_Atomic uint64_t retries = 0;
	void *object;

	if (remainder_count(&pool->remainder) == 0 && (depot == NULL || depot_depth(depot) == 0))
		return NULL;
	if (!gate_enter(inside))
		return NULL;
	object = remainder_take(&pool->remainder, depot, &retries);
	count(&pool->loose_create, object != NULL);
	count(&pool->loose_retries, retries);
	gate_leave(inside);
	if (object != NULL && has_stock(pool))
		stock_create(pool);
	return object;
}

static bool put_remainder(struct pool *pool, void *object, _Atomic uint32_t *inside)
{
	unsigned limit = control_limit(pool->max_batches);
	_Atomic uint64_t retries = 0;
	bool is_kept;

	if (!gate_enter(inside))
		return false;
	is_kept = remainder_put(&pool->remainder, &pool->depot, object, limit, &retries);
	count(&pool->loose_destroy, is_kept);
	count(&pool->loose_retries, retries);
	gate_leave(inside);
	if (is_kept && has_stock(pool))
		stock_destroy(pool);
	/* As in pool_spill. */
	if (depot_depth(&pool->depot) > 0)
		pool_wake();
	return is_kept;
}

/*
 * Undoes cache_close. Returns the block of a thread that had none and has one now, so that its cache is to be tried; or
 * NULL: the caller must do without. `*inside` becomes the caller's word for gate_enter.
 */
static struct thread *reopen(struct pool *pool, struct thread *thread, int64_t top, _Atomic uint32_t **inside)
{
	bool is_one = cache_is_one(top);

	cache_reopen(&thread->cache[pool->index], top);
	*inside = is_one ? &thread->inside : NULL;
	thread = is_one ? NULL : thread_current();
	/* A thread's first use would, where threads have caches. */
	if (!is_one && thread == NULL && observer_sees_all())
		pool_wake();
	return thread;
}

void *pool_take_shared(struct pool *pool, struct thread *thread, int64_t top)
{
	_Atomic uint32_t *inside;
	struct thread *first = reopen(pool, thread, top, &inside);
	void *object;

	if (first != NULL)
		return pool_take_slow(pool, cache_in(first, pool), cache_close(cache_in(first, pool)));
	/* If the cache was empty, pool_refill has asked the depot. */
	object = take_remainder(pool, top == 0 ? NULL : &pool->depot, inside);
	if (object != NULL)
		tally_taken(pool, object);
	return object;
}

void *pool_get_shared(struct pool *pool, struct thread *thread, int64_t top)
{
	void *object = pool_take_shared(pool, thread, top);

	return object != NULL ? object : pool_make(pool);
}

void pool_put_shared(struct pool *pool, struct thread *thread, void *object, int64_t top)
{
	_Atomic uint32_t *inside;
	struct thread *first = reopen(pool, thread, top, &inside);

	if (first != NULL) {
		pool_put_slow(pool, cache_in(first, pool), object, cache_close(cache_in(first, pool)));
		return;
	}
	tally_back(pool, object);
	/* If the cache was full, the depot has refused a batch: there is no room. */
	if (top == CACHE_SLOTS || !put_remainder(pool, object, inside))
		pool_destroy(pool, object);
}

/* ---- the rest ---- */

void *pool_take_slow(struct pool *pool, struct cache *cache, int64_t top)
{
	struct thread *thread = thread_of_cache(cache, pool->index);

	top = pool_refill(pool, thread, top);
	return top > 0 ? cache_take(cache, top) : pool_take_shared(pool, thread, top);
}

void pool_put_slow(struct pool *pool, struct cache *cache, void *object, int64_t top)
{
	struct thread *thread = thread_of_cache(cache, pool->index);

	top = pool_spill(pool, thread, top);
	if ((uint64_t)top < CACHE_SLOTS)
		cache_put(cache, top, object);
	else
		pool_put_shared(pool, thread, object, top);
}
