/* SPDX-License-Identifier: MIT */
/*
 * Objects for the pool's tests that notice what must not happen: handed out twice, put back twice, used after
 * they were destroyed. Never used again, so that a wrong use is seen and not a crash.
 */
#ifndef COPOOL_TESTS_UNIT_OBJECTS_H
#define COPOOL_TESTS_UNIT_OBJECTS_H

#include "pool/gate.h"
#include "pool/pool.h"
#include "pool/fast_path.h"
#include "pool/stats.h"
#include "system/clock.h"

#include <stdatomic.h>
#include <stdlib.h>

enum object_state { OBJECT_NEW, OBJECT_LIVE, OBJECT_IDLE, OBJECT_DESTROYED };

struct object {
	_Atomic int state;
	int number;
};

enum { OBJECTS_MAX = 1 << 23 };

static struct object objects[OBJECTS_MAX]; /* touched as far as they are used; for signal handlers, too */
static _Atomic unsigned long objects_made, objects_destroyed, objects_broken, objects_fail;

static void *objects_make(void *owner)
{
	unsigned long number;

	(void)owner;
	if (atomic_load(&objects_fail))
		return NULL;
	number = atomic_fetch_add(&objects_made, 1);
	if (number >= OBJECTS_MAX)
		return NULL;
	objects[number].number = (int)number;
	return &objects[number];
}

static void objects_move(struct object *object, int from, int to)
{
	int expected = from;

	if (!atomic_compare_exchange_strong(&object->state, &expected, to) &&
	        !(from == OBJECT_IDLE && expected == OBJECT_NEW &&
	                atomic_compare_exchange_strong(&object->state, &expected, to)))
		atomic_fetch_add(&objects_broken, 1);
}

static void objects_destroy(void *owner, void *object)
{
	(void)owner;
	/* Marked idle before it was put: see put_object. */
	objects_move(object, OBJECT_IDLE, OBJECT_DESTROYED);
	atomic_fetch_add(&objects_destroyed, 1);
}

static const struct pool_kind objects_kind = {
        .name = "objects", .make = objects_make, .destroy = objects_destroy, .object_maps = POOL_OBJECT_MAPS};

static inline struct object *get_object(struct pool *pool)
{
	struct object *object = pool_get(pool, pool->index);

	if (object != NULL)
		objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
	return object;
}

static inline void put_object(struct pool *pool, struct object *object)
{
	objects_move(object, OBJECT_LIVE, OBJECT_IDLE);
	pool_put(pool, pool->index, object);
}

/* Whether the log's equations hold; at rest they must. */
static inline bool is_balanced(struct pool *pool, uint64_t live)
{
	struct pool_stats s;

	pool_read(pool, &s);
	return s.live == live &&
	       s.inherited + s.create_local + s.create_depot + s.create_new - s.destroy_local -
	                       s.destroy_depot - s.destroy_delete ==
	               live &&
	       s.live + s.pooled == (uint64_t)atomic_load(&pool->objects);
}

/* Whether a fork would find all threads but this one outside of the gate. */
static inline bool is_nobody_inside(void)
{
	uint64_t deadline_ms = clock_now_ms() + GATE_WAIT_MS;
	bool is_nobody;

	gate_close();
	is_nobody = gate_wait_visitors(deadline_ms);
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t))
		is_nobody = (thread_is_own(t) || gate_wait(&t->inside, deadline_ms)) && is_nobody;
	gate_open();
	return is_nobody;
}

#endif
