/* SPDX-License-Identifier: MIT */
/*
 * A batch of idle objects on its way back to the system. The adapter's function destroys them one by one, and may wait for
 * anything, also for a thread that forks. So no lock is held, and a fork's child finds here what is not yet destroyed.
 */
#ifndef COPOOL_POOL_LEAVING_H
#define COPOOL_POOL_LEAVING_H

#include "pool/depot.h"

struct leaving {
	_Atomic unsigned
	        count; /* object[0 .. count) are still to go; both written by the statistics thread */
	void *object[BATCH_SIZE];
};

static inline unsigned leaving_count(const struct leaving *leaving)
{
	/* [leaving.count] relaxed: the caller's own, or a statistic. */
	return atomic_load_explicit((_Atomic unsigned *)&leaving->count, memory_order_relaxed);
}

static inline void leaving_set_count(struct leaving *leaving, unsigned count)
{
	/* [leaving.count] release: after the objects; pairs with the fork, whose child inherits them. */
	atomic_store_explicit(&leaving->count, count, memory_order_release);
}

/* Takes one, which belongs to the caller then; NULL if none is left. */
static inline void *leaving_take(struct leaving *leaving)
{
	unsigned count = leaving_count(leaving);

	if (count == 0)
		return NULL;
	leaving_set_count(leaving, count - 1);
	return leaving->object[count - 1];
}

#endif
