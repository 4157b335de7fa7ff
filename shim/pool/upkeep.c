/* SPDX-License-Identifier: MIT */
#include "pool/upkeep.h"

#include "system/clock.h"
#include "pool/control.h"
#include "pool/gate.h"
#include "pool/pool.h"
#include "pool/probe.h"
#include "pool/retire.h"
#include "pool/tally.h"

#include <limits.h>

static uint64_t start_ms; /* CLOCK_MONOTONIC: where the trimming's clock begins; written by pools_init */

int pools_init(unsigned decay_ms, void (*wake)(void))
{
	static struct thread_events events;

	control_init(decay_ms);
	pool_table_init(wake);
	start_ms = clock_now_ms();
	events.first_use = wake;
	events.retire = retire_thread;
	return observer_sees_all() ? 0 : thread_init(&events);
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

/* Does what is asked for. What cannot be done now is done in the next round. */
static void do_asked(void)
{
	struct control_request request = control_request();
	bool is_done = true;

	for (unsigned i = 0; i < pool_count(); i++) {
		struct pool *pool = pool_at(i);

		is_done &= release_above(pool, request.is_emptying ? 0 : control_limit(pool->max_batches));
	}
	if (is_done)
		control_set_done(&request);
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
	uint64_t now = clock_now_ms() - start_ms;
	unsigned wait = UINT_MAX, decay_ms = control_decay_ms();

	if (pool_is_asked())
		do_asked();
	for (unsigned i = 0; i < pool_count(); i++) {
		struct pool *pool = pool_at(i);
		unsigned release = decay_ms > 0 ? trim_advance(&pool->trim, &pool->depot, decay_ms, now) : 0;
		uint64_t left = POOL_ASK_MS;

		while (release > 0 && release_batch(pool))
			release--;
		if (decay_ms > 0 && pool->trim.next_ms != 0)
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
	unsigned step = control_decay_ms() / TRIM_STEPS;

	return step > 0 && step < POOL_ASK_MS ? step : POOL_ASK_MS;
}

bool pool_has_spare(void)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		if (control_decay_ms() > 0 && depot_depth(&pool_at(i)->depot) > 0)
			return true;
	}
	return false;
}

void pool_relieve(bool is_new)
{
	for (unsigned i = 0; control_decay_ms() > 0 && i < pool_count(); i++) {
		struct pool *pool = pool_at(i);
		unsigned release = trim_hurry(&pool->depot, is_new), depth = depot_depth(&pool->depot);

		release_above(pool, depth > release ? depth - release : 0);
		trim_begin_again(&pool->trim, &pool->depot);
	}
}
