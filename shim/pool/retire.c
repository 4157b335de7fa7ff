/* Empties the caches of ended threads. */
#include "pool/retire.h"

#include "pool/gate.h"
#include "pool/pool.h"

#include <string.h>

/* Keeps `count` objects where other threads find them; returns how many of them, from the first, stayed
 * behind. */
static unsigned pass_on(struct pool *pool, void *const *object, unsigned count)
{
	unsigned limit = pool_limit(pool);
	_Atomic uint64_t retries = 0;

	while (count >= BATCH_SIZE && depot_push(&pool->depot, object + count - BATCH_SIZE, limit, &retries))
		count -= BATCH_SIZE;
	while (count > 0 && remainder_put(&pool->remainder, &pool->depot, object[count - 1], limit, &retries))
		count--;
	return count;
}

static void retire_cache(struct pool *pool, struct cache *cache, bool is_own, bool is_open)
{
	void *object[CACHE_SLOTS];
	unsigned count = cache_count(cache);

	memcpy(object, cache->slot, count * sizeof *object);
	cache_leave(cache, count);
	if (pool->kind->stock != NULL)
		stock_end(pool, cache, is_own);
	if (is_open) {
		count = pass_on(pool, object, count);
		depot_return_spares(&pool->depot, &cache->spares);
	}
	while (count > 0)
		pool_give_back(pool, object[--count]);
}

void retire_thread(struct thread *thread, bool is_own)
{
	/* Closed while a fork is under way: what others might be copying stays untouched. */
	bool is_open = gate_enter(NULL);

	for (unsigned i = 0; i < pool_count(); i++) {
		if (is_own)
			cache_end(&thread->cache[i]);
		retire_cache(pool_at(i), &thread->cache[i], is_own, is_open);
	}
	if (is_open)
		gate_leave(NULL);
}
