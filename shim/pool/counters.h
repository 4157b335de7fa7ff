/* SPDX-License-Identifier: MIT */
/*
 * Event counters of one thread, which alone writes them. Any thread may read them: a read is never torn; it is exact if
 * the thread is at rest, and may miss the latest events if not.
 *
 * The fast path counts what it takes, and nothing else. As a cache loses no object, what was put follows:
 *
 *	put = taken + top + left + 16 * spills - 16 * refills
 */
#ifndef COPOOL_POOL_COUNTERS_H
#define COPOOL_POOL_COUNTERS_H

#include "pool/owner_word.h"

/* One pool's events in one thread. Names as in the log. */
struct counters {
	_Atomic uint64_t taken;         /* create_local and create_depot */
	_Atomic uint64_t create_depot;  /* refills: one before each */
	_Atomic uint64_t destroy_depot; /* spills: one before each */
	_Atomic uint64_t left;          /* removed but not taken, as when a thread ends; mod 2^64 */
	_Atomic uint64_t depot_retries;
	_Atomic uint64_t calls_saved; /* in addition to what pool_kind.make_calls and destroy_calls say */
};

/* Adds one to a counter of the calling thread; about 0.4 ns. */
static inline void counter_bump(_Atomic uint64_t *counter)
{
	owner_add(counter, 1);
}

static inline void counter_add(_Atomic uint64_t *counter, unsigned amount)
{
	owner_add(counter, amount);
}

static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
	/* [counter] acquire: several are read in the order of the calls; pairs with owner_add. */
	return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_acquire);
}

#endif
