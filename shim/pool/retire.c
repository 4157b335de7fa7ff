/* SPDX-License-Identifier: MIT */
#include "pool/retire.h"

#include "pool/control.h"
#include "pool/gate.h"
#include "pool/pool.h"
#include "pool/tally.h"

/* Keeps objects where other threads find them, the last ones first. Returns how many, from the first, found no room. */
static unsigned pass_on(struct pool *pool, void *const *object, unsigned count)
{
	unsigned limit = control_limit(pool->max_batches);
	_Atomic uint64_t retries = 0;

	while (count >= BATCH_SIZE && depot_push(&pool->depot, object + count - BATCH_SIZE, limit, &retries))
		count -= BATCH_SIZE;
	while (count > 0 && remainder_put(&pool->remainder, &pool->depot, object[count - 1], limit, &retries))
		count--;
	return count;
}

static void empty_cache(struct pool *pool, struct cache *cache)
{
	unsigned count = cache_count(cache);

	cache_leave(cache, count - pass_on(pool, cache->slot, count));
	depot_return_spares(&pool->depot, &cache->spares);
}

/* Outside the gate: the adapter may wait for a thread that forks. Its child takes over what is still in the cache. */
static void destroy_rest(struct pool *pool, struct cache *cache)
{
	for (unsigned count; (count = cache_count(cache)) > 0;) {
		void *object = cache->slot[count - 1];

		cache_leave(cache, 1);
		pool_give_back(pool, object);
	}
}

void retire_thread(struct thread *thread, bool is_own)
{
	/* While a fork is under way the depot is left alone. */
	bool is_open = gate_enter(&thread->inside);

	for (unsigned i = 0; i < pool_count(); i++) {
		if (is_own)
			cache_end(&thread->cache[i]);
		if (is_open)
			empty_cache(pool_at(i), &thread->cache[i]);
	}
	if (is_open)
		gate_leave(&thread->inside);
	for (unsigned i = 0; i < pool_count(); i++) {
		destroy_rest(pool_at(i), &thread->cache[i]);
		if (pool_at(i)->kind->stock != NULL)
			stock_end(pool_at(i), &thread->cache[i], is_own);
	}
}

void retire_leaving(struct pool *pool)
{
	unsigned count = leaving_count(&pool->leaving);

	leaving_set_count(&pool->leaving, 0);
	count = pass_on(pool, pool->leaving.object, count);
	while (count > 0)
		pool_give_back(pool, pool->leaving.object[--count]);
}
