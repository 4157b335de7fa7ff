/* SPDX-License-Identifier: MIT */
#include "pool/tally.h"

#include "pool/pool.h"
#include "pool/probe.h"

/* ---- the observer ---- */

static const struct pool_observer *told; /* written by observer_set */

void observer_set(const struct pool_observer *observer)
{
	told = observer;
}

bool observer_sees_all(void)
{
	return told != NULL && told->sees_all;
}

void tally_taken(struct pool *pool, void *object)
{
	if (observer_sees_all() && !pool->kind->is_part)
		told->created(pool, object, false);
}

void tally_back(struct pool *pool, void *object)
{
	if (observer_sees_all() && !pool->kind->is_part)
		told->destroyed(pool, object);
}

/* ---- counters that any thread adds to ---- */

/* [counter] relaxed in all that use it: statistics; they pair with pool_read. */
static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void tally_saved(struct pool *pool, uint64_t calls)
{
	if (calls != 0)
		atomic_fetch_add_explicit(&pool->calls_saved, calls, memory_order_relaxed);
}

void tally_spent(struct pool *pool, uint64_t calls)
{
	tally_saved(pool, -calls);
}

/* What is made in spite of us is not saved. */
static void count_calls(struct pool *pool, bool is_made)
{
	const struct stock *stock = pool->kind->stock;

	if (stock != NULL)
		tally_spent(pool, is_made ? stock->make_calls : stock->destroy_calls);
}

void tally_made(struct pool *pool, void *object)
{
	int64_t objects = atomic_fetch_add_explicit(&pool->objects, 1, memory_order_relaxed) + 1;
	int64_t peak = atomic_load_explicit(&pool->peak_objects, memory_order_relaxed);

	count(&pool->create_new);
	count_calls(pool, true);
	if (pool->kind->stock != NULL)
		stock_create(pool);
	while (objects > peak && !atomic_compare_exchange_weak_explicit(&pool->peak_objects, &peak, objects,
	                                 memory_order_relaxed, memory_order_relaxed))
		;
	PROBE(new, pool->kind->name, object);
	if (told != NULL && !pool->kind->is_part)
		told->created(pool, object, true);
}

static void count_end(struct pool *pool, _Atomic uint64_t *counter)
{
	count(counter);
	count_calls(pool, false);
	atomic_fetch_sub_explicit(&pool->objects, 1, memory_order_relaxed);
}

void tally_gone(struct pool *pool, void *object)
{
	tally_back(pool, object);
	if (pool->kind->stock != NULL)
		stock_destroy(pool);
	count_end(pool, &pool->destroy_delete);
	PROBE(delete, pool->kind->name, object);
}

void tally_create(struct pool *pool)
{
	struct thread *thread = thread_current();

	if (thread != NULL)
		counter_bump(&thread->cache[pool->index].counters.taken);
	else
		/* [counter] release: behind what tally_made has counted, as in counter_bump; pairs with
		 * counter_read. */
		atomic_fetch_add_explicit(&pool->loose_create, 1, memory_order_release);
}

/* ---- by the kind's functions ---- */

void *pool_make(struct pool *pool)
{
	void *object = pool->kind->make(pool->owner);

	if (object != NULL)
		tally_made(pool, object);
	return object;
}

void pool_destroy(struct pool *pool, void *object)
{
	tally_gone(pool, object);
	pool->kind->destroy(pool->owner, object);
}

void pool_give_back(struct pool *pool, void *object)
{
	count_end(pool, &pool->trimmed);
	pool->kind->destroy(pool->owner, object);
	if (pool->kind->given_back != NULL)
		pool->kind->given_back(pool->owner, object);
}
