/* SPDX-License-Identifier: MIT */
#include "pool/stats.h"

#include "pool/doubt.h"

static uint64_t number(const _Atomic int64_t *value)
{
	/* [pool.objects] relaxed: a statistic; it may be below zero for a moment. */
	int64_t number = atomic_load_explicit((_Atomic int64_t *)value, memory_order_relaxed);

	return number > 0 ? (uint64_t)number : 0;
}

enum { READ_TRIES = 8, FEW = 2 * BATCH_SIZE };

/*
 * Adds what one cache has served. Its thread may change the words while they are read, one after the other. They are
 * written and read in such an order that the sums are too small in that case, never too large. A refill or spill in
 * between would change them most: then all is read again.
 */
static void add_cache(const struct pool *pool, const struct cache *cache, struct pool_stats *stats)
{
	const struct counters *counters = &cache->counters;
	uint64_t before, taken, left, refills, spills, put;
	unsigned top, tries = READ_TRIES;

	do {
		before = counter_read(&counters->create_depot);
		spills = counter_read(&counters->destroy_depot);
		taken = counter_read(&counters->taken);
		left = counter_read(&counters->left);
		top = cache_count(cache);
		refills = counter_read(&counters->create_depot);
	} while (--tries > 0 && (refills != before || spills != counter_read(&counters->destroy_depot)));
	put = taken + top + left + BATCH_SIZE * (spills - refills);
	stats->create_local += taken - refills;
	stats->create_depot += refills;
	stats->destroy_local += put - spills;
	stats->destroy_depot += spills;
	stats->pooled += top;
	if (pool->kind->stock != NULL)
		stats->calls_saved += stock_pending(pool, cache, taken, put);
}

static void add_thread(const struct pool *pool, const struct thread *thread, struct pool_stats *stats)
{
	const struct cache *cache = &thread->cache[pool->index];

	add_cache(pool, cache, stats);
	stats->depot_retries += counter_read(&cache->counters.depot_retries);
	stats->calls_saved += counter_read(&cache->counters.calls_saved);
	/* [thread.in_use] relaxed: a statistic. */
	stats->threads += atomic_load_explicit((_Atomic bool *)&thread->in_use, memory_order_relaxed);
}

/* What all threads have taken. */
static uint64_t count_taken(const struct pool *pool)
{
	uint64_t taken = 0;

	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t))
		taken += counter_read(&t->cache[pool->index].counters.taken);
	return taken;
}

/* Returns no less than before: a reader takes a counter that falls for one that was reset. */
static uint64_t keep_most(_Atomic int64_t *most, uint64_t value)
{
	/* [pool.create_seen, pool.destroy_seen] relaxed: as in keep_peak. */
	int64_t seen = atomic_load_explicit(most, memory_order_relaxed);

	if ((int64_t)value <= seen)
		return (uint64_t)seen;
	atomic_store_explicit(most, (int64_t)value, memory_order_relaxed);
	return value;
}

/* System calls that the program has been spared, or 0 where it has been put to more. */
static uint64_t saved_calls(struct pool *pool, const struct pool_stats *stats)
{
	uint64_t calls = stats->calls_saved + counter_read(&pool->calls_saved);

	if (pool->kind->stock == NULL)
		calls += pool->kind->make_calls * (stats->create_local + stats->create_depot) +
		         pool->kind->destroy_calls * (stats->destroy_local + stats->destroy_depot);
	return keep_most(&pool->calls_seen, calls);
}

static void keep_peak(struct pool *pool, uint64_t live)
{
	/* [pool.peak_live] relaxed: a statistic; two readers at once may lose the smaller peak. */
	if (number(&pool->peak_live) < live)
		atomic_store_explicit(&pool->peak_live, (int64_t)live, memory_order_relaxed);
}

/* Turns the counts of a pool that only observes into what the log says; see copool-log(5). */
static void explain_observed(struct pool_stats *stats)
{
	uint64_t creates = stats->create_local + stats->create_depot;

	stats->create_local = creates > stats->create_new ? creates - stats->create_new : 0;
	stats->create_depot = 0;
	/* What the program's own pool handed out it had taken back before. */
	stats->destroy_local = stats->create_local;
}

/* Adds up what the pool and all threads have counted. Returns how much was taken in the meantime. */
static uint64_t add_up(struct pool *pool, struct pool_stats *stats)
{
	uint64_t taken;

	*stats = (struct pool_stats){
	        .create_depot = counter_read(&pool->loose_create),
	        .create_new = counter_read(&pool->create_new),
	        .destroy_depot = counter_read(&pool->loose_destroy),
	        .destroy_delete = counter_read(&pool->destroy_delete),
	        .depot_retries = counter_read(&pool->loose_retries),
	        .trimmed = counter_read(&pool->trimmed),
	        .inherited = number(&pool->inherited),
	        .peak_objects = number(&pool->peak_objects),
	        .depot_batches = depot_depth(&pool->depot),
	        .depot_low = depot_sample_low(&pool->depot),
	        .depot_high = depot_sample_high(&pool->depot),
	        .pooled = remainder_count(&pool->remainder) + leaving_count(&pool->leaving),
	};
	taken = stats->create_depot + count_taken(pool);
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t))
		add_thread(pool, t, stats);
	return stats->create_local + stats->create_depot - taken;
}

/*
 * Threads are read one after another: an object that goes from one to another meanwhile counts in both, or in none. So
 * if much is taken meanwhile, because this thread was interrupted, all is read again. If much always is, more will do:
 * there is no room for a copy of the best so far on a coroutine's stack (adapter/room.c).
 */
static void read_counts(struct pool *pool, struct pool_stats *stats)
{
	for (unsigned tries = 0; add_up(pool, stats) > (uint64_t)FEW << tries && tries < READ_TRIES; tries++)
		;
}

void pool_read(struct pool *pool, struct pool_stats *stats)
{
	int64_t live;

	*stats = (struct pool_stats){0};
	if (pool_is_withdrawn(pool))
		return;
	read_counts(pool, stats);
	if (pool->kind->is_observed) {
		/* After the creates, as they are counted: so a create in progress never looks served. */
		stats->create_new = counter_read(&pool->create_new);
		explain_observed(stats);
	}
	stats->pooled += stats->depot_batches * BATCH_SIZE;
	live = (int64_t)(stats->inherited + stats->create_local + stats->create_depot + stats->create_new -
	                 stats->destroy_local - stats->destroy_depot - stats->destroy_delete);
	stats->live = live > 0 ? (uint64_t)live : 0;
	/* As threads were read one after another, it may be too many. */
	if (stats->live > number(&pool->peak_objects))
		stats->live = number(&pool->peak_objects);
	stats->create_local = keep_most(&pool->create_seen, stats->create_local);
	stats->destroy_local = keep_most(&pool->destroy_seen, stats->destroy_local);
	stats->calls_saved = saved_calls(pool, stats);
	if (pool->kind->maps_saved != NULL)
		stats->maps_saved = counter_read(pool->kind->maps_saved);
	keep_peak(pool, stats->live);
	stats->peak_live = number(&pool->peak_live);
}

void pool_restart_sample(struct pool *pool)
{
	depot_restart_sample(&pool->depot);
}
