/* SPDX-License-Identifier: MIT */
/* The table of pools, what may be asked of them while the program runs, and giving idle objects back. */
#include "pool/pool.h"

#include "system/clock.h"
#include "pool/gate.h"
#include "pool/limits.h"
#include "pool/observer.h"
#include "pool/probe.h"
#include "pool/retire.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
	void (*wake)(void); /* written by pools_init */
	struct pool *pool[POOL_MAX];
	_Atomic unsigned count; /* written by pool_start, as pool[] */
	struct pool_control control;
	struct limits limits; /* written by pools_init, as the next one */
	uint64_t start_ms;    /* CLOCK_MONOTONIC: where the trimming's clock begins */
	uint32_t emptied;     /* the control's, as last done; the statistics thread's */
} pools;

/* [control] acquire: of what is asked for, the words that were written before `asked`. */
static uint32_t read_control(const _Atomic uint32_t *word)
{
	return atomic_load_explicit((_Atomic uint32_t *)word, memory_order_acquire);
}

/* [control] release: `done` is written when all is; pairs with who reads it from outside. */
static void set_control(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

int pools_init(unsigned decay_ms, void (*wake)(void))
{
	static struct thread_events events;

	set_control(&pools.control.decay_ms, decay_ms);
	set_control(&pools.control.max_batches, BATCHES_DERIVED);
	pools.wake = wake;
	pools.start_ms = clock_now_ms();
	limits_read(&pools.limits, "");
	events.first_use = wake;
	events.retire = retire_thread;
	return observer_sees_all() ? 0 : thread_init(&events);
}

unsigned pool_cap_bearable(unsigned object_maps, size_t object_bytes)
{
	return limits_batches(&pools.limits, object_maps, object_bytes);
}

int pool_start(struct pool *pool, const struct pool_kind *kind, void *owner, unsigned max_batches)
{
	unsigned index = pool_count();

	if (index == POOL_MAX)
		return -ENOSPC;
	/* A fork that has begun interrupts the depots that it knows of. */
	if (!gate_enter(NULL))
		return -EAGAIN;
	pool->kind = kind;
	pool->owner = owner;
	pool->index = index;
	pool->max_batches = max_batches != BATCHES_DERIVED
	                            ? max_batches
	                            : pool_cap_bearable(kind->object_maps, kind->object_bytes);
	depot_init(&pool->depot);
	pools.pool[index] = pool;
	/* [pools.count] release: publishes the pool; pairs with pool_count. */
	atomic_store_explicit(&pools.count, index + 1, memory_order_release);
	gate_leave(NULL);
	return index;
}

void pool_unstart(struct pool *pool)
{
	/* [pools.count] release: as in pool_start. */
	atomic_store_explicit(&pools.count, pool->index, memory_order_release);
}

unsigned pool_count(void)
{
	/* [pools.count] acquire: the pools before it; pairs with pool_start. */
	return atomic_load_explicit(&pools.count, memory_order_acquire);
}

struct pool *pool_at(unsigned index)
{
	return pools.pool[index];
}

const char *pool_name(const struct pool *pool)
{
	return pool->kind->name;
}

bool pool_is_named(const char *name)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		if (strcmp(pool_name(pool_at(i)), name) == 0)
			return true;
	}
	return false;
}

void pool_make_unique(char *name, size_t bytes)
{
	size_t used = strlen(name);
	char number[16];

	for (unsigned i = 2; pool_is_named(name); i++) {
		size_t more = (size_t)snprintf(number, sizeof number, " #%u", i) + 1;

		memcpy(name + (used + more <= bytes ? used : bytes - more), number, more);
	}
}

struct pool_table pool_table(void)
{
	return (struct pool_table){pools.pool, &pools.count, &pools.control};
}

bool pool_is_asked(void)
{
	return read_control(&pools.control.asked) != read_control(&pools.control.done);
}

bool pool_is_off(void)
{
	return read_control(&pools.control.is_off) != 0;
}

unsigned pool_limit(struct pool *pool)
{
	unsigned limit = read_control(&pools.control.max_batches);

	if (pool_is_off())
		return 0;
	if (limit == BATCHES_DERIVED)
		limit = pool->max_batches;
	return limit < DEPOT_MAX_BATCHES ? limit : DEPOT_MAX_BATCHES;
}

void pool_wake(void)
{
	pools.wake();
}

/* Destroys a batch of idle objects; false when there is none. */
static bool release_batch(struct pool *pool)
{
	_Atomic uint64_t retries = 0;
	void *object;
	bool found;

	if (!gate_enter(NULL))
		return false;
	found = depot_pop(&pool->depot, pool->leaving.object, &retries);
	if (found)
		leaving_set_count(&pool->leaving, BATCH_SIZE);
	gate_leave(NULL);
	while ((object = leaving_take(&pool->leaving)) != NULL)
		pool_give_back(pool, object);
	/* [counter] relaxed: a statistic; pairs with pool_read. */
	atomic_fetch_add_explicit(&pool->loose_retries, retries, memory_order_relaxed);
	if (found)
		PROBE(trim, pool->kind->name, BATCH_SIZE);
	return found;
}

/* Gives back what is more than `keep` batches in the depot now. False: a fork came between. */
static bool release_above(struct pool *pool, unsigned keep)
{
	unsigned depth = depot_depth(&pool->depot);

	for (; depth > keep; depth--) {
		if (!release_batch(pool))
			return depot_depth(&pool->depot) <= keep;
	}
	return true;
}

/* Does what is asked for, as far as a pool can know of it; what is not done is done in the next round. */
static void do_asked(void)
{
	uint32_t asked = read_control(&pools.control.asked), emptied = read_control(&pools.control.emptied);
	bool is_done = true;

	for (unsigned i = 0; i < pool_count(); i++) {
		struct pool *pool = pool_at(i);

		is_done &= release_above(pool, emptied != pools.emptied ? 0 : pool_limit(pool));
	}
	if (!is_done)
		return;
	pools.emptied = emptied;
	set_control(&pools.control.done, asked);
}

/* The window of the trimming, whatever has been written there. */
static unsigned window_ms(void)
{
	unsigned decay_ms = read_control(&pools.control.decay_ms);

	return decay_ms == 0 || decay_ms >= TRIM_STEPS ? decay_ms : TRIM_STEPS;
}

/*
 * When to look at the depots again that have something in them, `left_ms` before a step ends: no more often
 * than once a second, unless the steps themselves are shorter.
 */
static unsigned wait_for(uint64_t left_ms)
{
	return left_ms < POOL_ASK_MS ? left_ms : left_ms / (left_ms / POOL_ASK_MS);
}

unsigned pool_trim_tick(void)
{
	uint64_t now = clock_now_ms() - pools.start_ms;
	unsigned wait = UINT_MAX, window = window_ms();

	if (pool_is_asked())
		do_asked();
	for (unsigned i = 0; i < pool_count(); i++) {
		struct pool *pool = pool_at(i);
		unsigned release = window > 0 ? trim_advance(&pool->trim, &pool->depot, window, now) : 0;
		uint64_t left = POOL_ASK_MS;

		while (release > 0 && release_batch(pool))
			release--;
		if (window > 0 && pool->trim.next_ms != 0)
			left = pool->trim.next_ms - now;
		else if (depot_depth(&pool->depot) == 0)
			continue;
		if (wait_for(left) < wait)
			wait = wait_for(left);
	}
	return wait;
}

unsigned pool_trim_patience(void)
{
	unsigned step = window_ms() / TRIM_STEPS;

	return step > 0 && step < POOL_ASK_MS ? step : POOL_ASK_MS;
}

bool pool_has_spare(void)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		if (window_ms() > 0 && depot_depth(&pool_at(i)->depot) > 0)
			return true;
	}
	return false;
}

void pool_relieve(bool is_new)
{
	for (unsigned i = 0; window_ms() > 0 && i < pool_count(); i++) {
		struct pool *pool = pool_at(i);
		unsigned release = trim_hurry(&pool->depot, is_new), depth = depot_depth(&pool->depot);

		release_above(pool, depth > release ? depth - release : 0);
		trim_begin_again(&pool->trim, &pool->depot);
	}
}
