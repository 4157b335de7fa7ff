/* SPDX-License-Identifier: MIT */
/*
 * The slow paths of a pool: where a thread's cache cannot serve. A thread is inside the gate while it touches what
 * threads share, and outside of it when it calls the host's functions.
 */
#include "pool/slow_path.h"

#include "pool/control.h"
#include "pool/fast_path.h"
#include "pool/gate.h"
#include "pool/probe.h"
#include "pool/tally.h"
#include "pool/transfer.h"

/* [counter] relaxed: a statistic; pairs with pool_read. */
static void count(_Atomic uint64_t *counter, unsigned amount)
{
	if (amount > 0)
		atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* Whether the program has a pool of its own, whose place this one takes. */
static inline bool has_stock(const struct pool *pool)
{
	return __builtin_expect(pool->kind->stock != NULL, 0);
}

/* Without a cache: the thread has none, or a signal handler interrupted its own thread's use of it. */
static void *take_loose(struct pool *pool)
{
	_Atomic uint64_t retries = 0;
	void *object = remainder_take(&pool->remainder, &pool->depot, &retries);

	count(&pool->loose_create, object != NULL);
	count(&pool->loose_retries, retries);
	return object;
}

static bool keep_loose(struct pool *pool, void *object)
{
	_Atomic uint64_t retries = 0;
	bool kept = remainder_put(
	        &pool->remainder, &pool->depot, object, control_limit(pool->max_batches), &retries);

	count(&pool->loose_destroy, kept);
	count(&pool->loose_retries, retries);
	return kept;
}

/*
 * The calling thread's cache, closed by us, with `*top` objects; NULL when the thread has none, or when a
 * signal handler interrupted its own thread's use of it. `*thread` is the one whose cache was closed, with `*top`
 * found: a handler may have registered the calling thread since, or have forked, so thread_self may lead to another.
 * It becomes what gate_enter wants.
 */
static struct cache *own_cache(struct pool *pool, int64_t *top, struct thread **thread)
{
	struct cache *cache = &(*thread)->cache[pool->index];

	if (!cache_is_one(*top)) {
		cache_reopen(cache, *top);
		*thread = thread_current();
		if (*thread == NULL) {
			/* A thread's first use would, where threads have caches. */
			if (observer_sees_all())
				pool_wake();
			return NULL;
		}
		cache = &(*thread)->cache[pool->index];
		*top = cache_close(cache);
	}
	if (*top >= 0)
		return cache;
	cache_reopen(cache, *top);
	return NULL;
}

/* Once: gcc would rather find it again at each use. */
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

/* The thread must give some of its empty nodes away before. */
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

/* The thread must get some empty nodes before. */
static __attribute__((noinline, cold)) int64_t spill_stocked(struct pool *pool, struct thread *thread)
{
	struct cache *cache = &thread->cache[pool->index];
	bool has_node;

	gate_step_in(&thread->inside);
	has_node = depot_stock(&pool->depot, &cache->spares, &cache->counters.depot_retries);
	gate_step_out(&thread->inside);
	return has_node ? pool_spill(pool, thread, CACHE_SLOTS) : CACHE_SLOTS;
}

/* Moves the younger batch to the depot. */
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

/* A few that ended threads have left, before the host must make one. */
static void *take_left(struct pool *pool, struct thread *thread)
{
	void *object;

	if (remainder_count(&pool->remainder) == 0 && depot_depth(&pool->depot) == 0)
		return NULL;
	if (!gate_enter(thread != NULL ? &thread->inside : NULL))
		return NULL;
	object = take_loose(pool);
	gate_leave(thread != NULL ? &thread->inside : NULL);
	if (object != NULL && has_stock(pool))
		stock_create(pool);
	return object;
}

/* Where the depot has no batch, or the cache was closed or there was none at all. */
void *pool_take_rarely(struct pool *pool, struct thread *thread, int64_t top)
{
	struct cache *cache = own_cache(pool, &top, &thread);
	void *object;

	if (cache != NULL && top == 0)
		top = pool_refill(pool, thread, top);
	if (cache != NULL && top > 0)
		return cache_take(cache, top);
	if (cache != NULL)
		cache_open(cache, 0);
	object = take_left(pool, thread);
	if (object != NULL)
		tally_taken(pool, object);
	return object;
}

void *pool_get_rarely(struct pool *pool, struct thread *thread, int64_t top)
{
	void *object = pool_take_rarely(pool, thread, top);

	return object != NULL ? object : pool_make(pool);
}

void *pool_take_slow(struct pool *pool, struct cache *cache, int64_t top)
{
	struct thread *thread = thread_of_cache(cache, pool->index);

	top = pool_refill(pool, thread, top);
	return top > 0 ? cache_take(cache, top) : pool_take_rarely(pool, thread, top);
}

/* Keeps an object where no cache is at hand. */
static bool keep_left(struct pool *pool, struct thread *thread, void *object)
{
	bool is_kept;

	if (!gate_enter(thread != NULL ? &thread->inside : NULL))
		return false;
	is_kept = keep_loose(pool, object);
	gate_leave(thread != NULL ? &thread->inside : NULL);
	if (is_kept && has_stock(pool))
		stock_destroy(pool);
	/* As in spill. */
	if (depot_depth(&pool->depot) > 0)
		pool_wake();
	return is_kept;
}

/* Where the depot takes no batch, or the cache was closed or there was none at all. */
void pool_put_rarely(struct pool *pool, struct thread *thread, int64_t top, void *object)
{
	struct cache *cache = own_cache(pool, &top, &thread);

	if (cache != NULL && top == CACHE_SLOTS)
		top = pool_spill(pool, thread, top);
	if (cache != NULL && top < CACHE_SLOTS) {
		cache_put(cache, top, object);
		return;
	}
	if (cache != NULL)
		cache_open(cache, CACHE_SLOTS);
	tally_back(pool, object);
	if (cache != NULL || !keep_left(pool, thread, object))
		pool_destroy(pool, object);
}

void pool_put_slow(struct pool *pool, struct cache *cache, void *object, int64_t top)
{
	struct thread *thread = thread_of_cache(cache, pool->index);

	top = pool_spill(pool, thread, top);
	if ((uint64_t)top < CACHE_SLOTS)
		cache_put(cache, top, object);
	else
		pool_put_rarely(pool, thread, top, object);
}

bool pool_keep(struct pool *pool, unsigned index, void *object)
{
	struct thread *thread = thread_current();
	struct cache *cache;
	int64_t top;

	if (thread == NULL)
		return false;
	cache = &thread->cache[index];
	top = cache_close(cache);
	if (top == CACHE_SLOTS)
		top = pool_spill(pool, thread, top);
	if ((uint64_t)top >= CACHE_SLOTS) {
		cache_reopen(cache, top);
		return false;
	}
	cache_put(cache, top, object);
	return true;
}
