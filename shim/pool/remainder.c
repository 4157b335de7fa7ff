/* SPDX-License-Identifier: MIT */
#include "pool/remainder.h"

static bool remainder_enter(struct remainder *remainder)
{
	/* [remainder.busy] acquire: sees what the last thread in it did; pairs with remainder_leave. */
	return !atomic_flag_test_and_set_explicit(&remainder->busy, memory_order_acquire);
}

static void remainder_leave(struct remainder *remainder)
{
	/* [remainder.busy] release: pairs with remainder_enter. */
	atomic_flag_clear_explicit(&remainder->busy, memory_order_release);
}

unsigned remainder_count(const struct remainder *remainder)
{
	/* [remainder.count] relaxed: for the thread inside, `busy` orders it; for others it is a hint. */
	return atomic_load_explicit((_Atomic unsigned *)&remainder->count, memory_order_relaxed);
}

static void remainder_set_count(struct remainder *remainder, unsigned count)
{
	/* [remainder.count] relaxed: see remainder_count. */
	atomic_store_explicit(&remainder->count, count, memory_order_relaxed);
}

void *remainder_take(struct remainder *remainder, struct depot *depot, _Atomic uint64_t *retries)
{
	void *object = NULL;
	unsigned count;

	if (!remainder_enter(remainder))
		return NULL;
	count = remainder_count(remainder);
	if (count == 0 && depot != NULL && depot_pop(depot, remainder->object, retries))
		count = BATCH_SIZE;
	if (count > 0)
		object = remainder->object[--count];
	remainder_set_count(remainder, count);
	remainder_leave(remainder);
	return object;
}

bool remainder_put(struct remainder *remainder, struct depot *depot, void *object, unsigned limit,
        _Atomic uint64_t *retries)
{
	bool kept = false;
	unsigned count;

	if (!remainder_enter(remainder))
		return false;
	count = remainder_count(remainder);
	if (count == BATCH_SIZE && depot_push(depot, remainder->object, limit, retries))
		count = 0;
	if (count < BATCH_SIZE) {
		remainder->object[count++] = object;
		kept = true;
	}
	remainder_set_count(remainder, count);
	remainder_leave(remainder);
	return kept;
}

void remainder_reset(struct remainder *remainder)
{
	remainder_set_count(remainder, 0);
	remainder_leave(remainder);
}
