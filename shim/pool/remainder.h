/* SPDX-License-Identifier: MIT */
/*
 * Objects that do not fill a batch: those of threads that have ended, and of threads without a cache. It holds at most a
 * batch; a full one moves to the depot. No thread waits: if another thread is in the remainder, it does without.
 */
#ifndef COPOOL_POOL_REMAINDER_H
#define COPOOL_POOL_REMAINDER_H

#include "pool/depot.h"

struct remainder {
	atomic_flag busy; /* a thread is in it */
	_Atomic unsigned count;
	void *object[BATCH_SIZE];
};

/*
 * Returns an object; if the remainder is empty, from a batch of `depot`, which may be NULL. Returns NULL if there is none,
 * or if the remainder is busy. The caller must be inside the gate.
 */
void *remainder_take(struct remainder *remainder, struct depot *depot, _Atomic uint64_t *retries);

/* Keeps an object. Returns false if it is busy, or if it is full and the depot holds `limit` batches. */
bool remainder_put(struct remainder *remainder, struct depot *depot, void *object, unsigned limit,
        _Atomic uint64_t *retries);

/* Returns how many objects it holds; exact if no thread is in it. */
unsigned remainder_count(const struct remainder *remainder);

/* In a fork's child, if a thread may have been in it: leaks what it held. */
void remainder_reset(struct remainder *remainder);

#endif
