/* SPDX-License-Identifier: MIT */
/*
 * Per-thread event counters: plain words with one writer, read by the statistics thread with relaxed loads.
 * A read is never torn, and at rest it is exact; in flight it may miss what is in motion.
 *
 * The fast path counts what it takes, and nothing else. As a cache loses no object, what it was given follows:
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
	_Atomic uint64_t left;          /* what went another way, as a thread's last objects do; mod 2^64 */
	_Atomic uint64_t depot_retries;
	_Atomic uint64_t calls_saved; /* beside those that pool_kind.make_calls and destroy_calls say */
};

/* Adds one to a counter of the calling thread; about 0.4 ns. */
static inline void counter_bump(_Atomic uint64_t *counter)
{
	single_add(counter, 1);
}

static inline void counter_add(_Atomic uint64_t *counter, unsigned amount)
{
	single_add(counter, amount);
}

static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
	/* [counter] acquire: who reads several reads them in this order; pairs with single_add. */
	return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_acquire);
}

#endif
