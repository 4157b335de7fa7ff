/* Adding the counters up. */
#include "pool/pool.h"

#include "pool/tally.h"

static uint64_t number(const _Atomic int64_t *value)
{
	/* [pool.objects] relaxed: a statistic; in motion it may even be below zero for a moment. */
	int64_t number = atomic_load_explicit((_Atomic int64_t *)value, memory_order_relaxed);

	return number > 0 ? (uint64_t)number : 0;
}

static void add_thread(const struct thread *thread, unsigned index, struct pool_stats *stats)
{
	const struct cache *cache = &thread->cache[index];

	stats->create_local += counter_read(&cache->counters.create_local);
	stats->create_depot += counter_read(&cache->counters.create_depot);
	stats->destroy_local += counter_read(&cache->counters.destroy_local);
	stats->destroy_depot += counter_read(&cache->counters.destroy_depot);
	stats->depot_retries += counter_read(&cache->counters.depot_retries);
	stats->calls_saved += counter_read(&cache->counters.calls_saved);
	stats->pooled += cache_count(cache);
	/* [thread.in_use] relaxed: a statistic. */
	stats->threads += atomic_load_explicit((_Atomic bool *)&thread->in_use, memory_order_relaxed);
}

static void keep_peak(struct pool *pool, uint64_t live)
{
	/* [pool.peak_live] relaxed: a statistic; two readers at once may lose the smaller peak. */
	if (number(&pool->peak_live) < live)
		atomic_store_explicit(&pool->peak_live, (int64_t)live, memory_order_relaxed);
}

void pool_read(struct pool *pool, struct pool_stats *stats)
{
	int64_t live;

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
	        .pooled = remainder_count(&pool->remainder),
	};
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t))
		add_thread(t, pool->index, stats);
	if (pool->kind->is_observed)
		tally_explain(stats);
	stats->pooled += stats->depot_batches * BATCH_SIZE;
	stats->calls_saved += pool->kind->make_calls * (stats->create_local + stats->create_depot) +
	                      pool->kind->destroy_calls * (stats->destroy_local + stats->destroy_depot);
	if (pool->kind->maps_saved != NULL)
		stats->maps_saved = counter_read(pool->kind->maps_saved);
	live = (int64_t)(stats->inherited + stats->create_local + stats->create_depot + stats->create_new -
	                 stats->destroy_local - stats->destroy_depot - stats->destroy_delete);
	stats->live = live > 0 ? (uint64_t)live : 0;
	keep_peak(pool, stats->live);
	stats->peak_live = number(&pool->peak_live);
}

void pool_restart_sample(struct pool *pool)
{
	depot_restart_sample(&pool->depot);
}
