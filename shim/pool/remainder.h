/* SPDX-License-Identifier: MIT */
/*
 * What is left over when objects do not fill a batch: those of threads that have ended, and the objects of
 * threads that have no cache. At most a batch lies here; a full one moves on to the depot. Nobody
 * waits: who finds it busy goes without.
 */
#ifndef COPOOL_POOL_REMAINDER_H
#define COPOOL_POOL_REMAINDER_H

#include "pool/depot.h"

struct remainder {
	atomic_flag busy; /* taken around every access to the rest */
	_Atomic unsigned count;
	void *object[BATCH_SIZE];
};

/* An object from the remainder, or from a batch of the depot, NULL: of none. NULL when that is busy or empty. */
void *remainder_take(struct remainder *remainder, struct depot *depot, _Atomic uint64_t *retries);

/* Keeps an object; false when busy, or full with a depot that holds `limit` batches. */
bool remainder_put(struct remainder *remainder, struct depot *depot, void *object, unsigned limit,
        _Atomic uint64_t *retries);

/* How many objects it holds; exact when nobody is in there. */
unsigned remainder_count(const struct remainder *remainder);

/* In a fork's child that found it in motion: forgets what it held. */
void remainder_reset(struct remainder *remainder);

#endif
