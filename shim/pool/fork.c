/* SPDX-License-Identifier: MIT */
/*
 * The parent's other threads do not exist in the child, but their caches do: the child takes them over. No lock is held:
 * the gate refuses slow paths, and the child sees what fast paths do to a cache at this moment in the order in which they
 * write it.
 */
#include "pool/fork.h"

#include "system/clock.h"
#include "pool/gate.h"
#include "pool/pool.h"
#include "pool/retire.h"
#include "pool/stats.h"

/*
 * Whether all threads were outside of the gate. Of two threads that fork at once, one may read what the other wrote. That
 * is as good: the gate was closed for both when it was found, and has been since.
 */
static _Atomic bool is_at_rest;

static void interrupt_depots(void)
{
	for (unsigned i = 0; i < pool_count(); i++)
		depot_interrupt(&pool_at(i)->depot);
}

void pool_fork_prepare(void)
{
	uint64_t deadline_ms = clock_now_ms() + GATE_WAIT_MS;
	bool at_rest;

	gate_close();
	/* Visitors first: one of them may be starting a pool. */
	at_rest = gate_wait_visitors(deadline_ms);
	interrupt_depots();
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t)) {
		if (!thread_is_own(t))
			at_rest = gate_wait(&t->inside, deadline_ms) && at_rest;
	}
	/* [is_at_rest] relaxed: read by the same thread, or by the only one in the child. */
	atomic_store_explicit(&is_at_rest, at_rest, memory_order_relaxed);
}

void pool_fork_parent(void)
{
	gate_open();
}

/* [all in here] relaxed: the child has one thread. */
static void set(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, 0, memory_order_relaxed);
}

/* A thread was in the middle of a slow path: what threads share may be torn, so it is leaked. */
static void forget_shared(struct pool *pool)
{
	depot_forget(&pool->depot);
	remainder_reset(&pool->remainder);
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t)) {
		struct cache *cache = &t->cache[pool->index];

		if (thread_is_own(t))
			continue;
		depot_spares_set(&cache->spares, 0);
		cache_leave(cache, cache_count(cache));
	}
}

/* Resets the counters so that what the cache holds does not count as put. */
static void restart_cache(struct cache *cache)
{
	struct counters *counters = &cache->counters;

	set(&counters->taken);
	set(&counters->create_depot);
	set(&counters->destroy_depot);
	set(&counters->depot_retries);
	set(&counters->calls_saved);
	set(&cache->own.taken);
	set(&cache->own.put);
	set(&cache->own.moved);
	atomic_store_explicit(&counters->left, -(uint64_t)cache_count(cache), memory_order_relaxed);
}

/* The counters begin at 0; live objects count as inherited. */
static void restart_counters(struct pool *pool)
{
	struct pool_stats stats;
	int64_t objects;

	pool_read(pool, &stats);
	objects = (int64_t)(stats.live + stats.pooled);
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t))
		restart_cache(&t->cache[pool->index]);
	set(&pool->create_new);
	set(&pool->destroy_delete);
	set(&pool->trimmed);
	set(&pool->loose_create);
	set(&pool->loose_destroy);
	set(&pool->loose_retries);
	set(&pool->calls_saved);
	atomic_store_explicit(&pool->inherited, (int64_t)stats.live, memory_order_relaxed);
	atomic_store_explicit(&pool->peak_live, (int64_t)stats.live, memory_order_relaxed);
	atomic_store_explicit(&pool->create_seen, 0, memory_order_relaxed);
	atomic_store_explicit(&pool->destroy_seen, 0, memory_order_relaxed);
	atomic_store_explicit(&pool->calls_seen, 0, memory_order_relaxed);
	atomic_store_explicit(&pool->objects, objects, memory_order_relaxed);
	atomic_store_explicit(&pool->peak_objects, objects, memory_order_relaxed);
	pool->trim = (struct trim){0};
}

/* Threads that do not exist here are not inside. */
static void reset_gate(void)
{
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t)) {
		/* [gate.inside] relaxed: the child has one thread. */
		if (!thread_is_own(t))
			atomic_store_explicit(&t->inside, 0, memory_order_relaxed);
	}
	gate_reset();
}

void pool_fork_child(void)
{
	bool is_torn = !atomic_load_explicit(&is_at_rest, memory_order_relaxed);

	reset_gate();
	for (unsigned i = 0; is_torn && i < pool_count(); i++)
		forget_shared(pool_at(i));
	thread_adopt();
	for (unsigned i = 0; i < pool_count(); i++)
		retire_leaving(pool_at(i));
	for (unsigned i = 0; i < pool_count(); i++)
		restart_counters(pool_at(i));
}
