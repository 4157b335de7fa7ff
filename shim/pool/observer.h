/* SPDX-License-Identifier: MIT */
/*
 * Who wants to know what becomes of objects. There is one at most; it is told by the thread that creates or
 * destroys, from within that, with no lock of ours held, and must leave errno alone.
 */
#ifndef COPOOL_POOL_OBSERVER_H
#define COPOOL_POOL_OBSERVER_H

#include "pool/pool.h"

struct pool_observer {
	/* The program gets an object: a new one, which is a miss, or an idle one, if `sees_all` is set. */
	void (*created)(struct pool *pool, void *object, bool is_miss);
	/* The program gives an object back: told if `sees_all`, and perhaps twice. */
	void (*destroyed)(struct pool *pool, void *object);
	bool sees_all; /* threads get no caches, so that every create and destroy is a slow path */
};

/* Has an observer told, which must stay valid; called once, before pools_init. */
void observer_set(const struct pool_observer *observer);

bool observer_sees_all(void);

/* For the slow paths. Objects that are parts of another pool's (pool_kind.is_part) are not told of. */
void observer_tell_made(struct pool *pool, void *object);
void observer_tell_taken(struct pool *pool, void *object);
void observer_tell_back(struct pool *pool, void *object);

#endif
