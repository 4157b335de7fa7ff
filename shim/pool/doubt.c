/* SPDX-License-Identifier: MIT */
#include "pool/doubt.h"

#include "pool/tally.h"

bool doubt_is_due(struct pool *pool)
{
	/* [pool.passed] relaxed: a number that publishes nothing. */
	if (pool_is_withdrawn(pool) || atomic_load_explicit(&pool->passed, memory_order_relaxed) > 0)
		return true;
	/* [pool.doubts] relaxed: only counts misses. */
	return doubt_made(pool) >= DOUBT_AFTER &&
	       atomic_fetch_add_explicit(&pool->doubts, 1, memory_order_relaxed) % DOUBT_EVERY == 0;
}

void doubt_pass_on(struct pool *pool, void *object)
{
	tally_gone(pool, object);
	/* [pool.passed] relaxed: as above; pairs with doubt_take_back. */
	atomic_fetch_add_explicit(&pool->passed, 1, memory_order_relaxed);
}

bool doubt_take_back(struct pool *pool, void *object)
{
	/* [pool.passed] relaxed: as above, in the whole function. */
	uint32_t passed = atomic_load_explicit(&pool->passed, memory_order_relaxed);

	while (passed > 0 && !atomic_compare_exchange_weak_explicit(&pool->passed, &passed, passed - 1,
	                             memory_order_relaxed, memory_order_relaxed))
		;
	if (passed > 0)
		tally_made(pool, object);
	return passed > 0;
}

uint64_t doubt_made(const struct pool *pool)
{
	/* [counter] relaxed: the caller sees its own counts; those of others may come later. */
	return atomic_load_explicit((_Atomic uint64_t *)&pool->create_new, memory_order_relaxed);
}

void pool_withdraw(struct pool *pool)
{
	/* [pool.withdrawn] relaxed: a flag that publishes nothing; pairs with pool_is_withdrawn. */
	atomic_store_explicit(&pool->is_withdrawn, true, memory_order_relaxed);
}

bool pool_is_withdrawn(const struct pool *pool)
{
	/* [pool.withdrawn] relaxed: as above. */
	return atomic_load_explicit((_Atomic bool *)&pool->is_withdrawn, memory_order_relaxed);
}

bool pool_any_withdrawn(void)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		if (pool_is_withdrawn(pool_at(i)))
			return true;
	}
	return false;
}
