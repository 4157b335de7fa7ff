/* SPDX-License-Identifier: MIT */
/* copool's pool linked into the program, its fast path inlined: what the structure itself costs. */
#include "pools.h"

#include "pool/pool.h"
#include "pool/fast_path.h"
#include "pool/stats.h"
#include "pool/upkeep.h"

enum { OBJECTS = 0 };

static struct pool pool;

static void *make(void *owner)
{
	(void)owner;
	return object_make();
}

static void destroy(void *owner, void *object)
{
	(void)owner;
	object_destroy(object);
}

static const struct pool_kind kind = {.name = "objects", .make = make, .destroy = destroy};

static void wake(void)
{
}

static bool start(void)
{
	return pools_init(0, wake) == 0 && pool_start(&pool, &kind, NULL, DEPOT_MAX_BATCHES) == OBJECTS;
}

static inline void *take(void)
{
	return pool_get(&pool, OBJECTS);
}

static inline void put(void *object)
{
	pool_put(&pool, OBJECTS, object);
}

#include "patterns.h"

static uint64_t operations(void)
{
	struct pool_stats stats;

	pool_read(&pool, &stats);
	return stats.create_depot + stats.destroy_depot;
}

const struct contender copool_linked = {
        .name = "copool, linked",
        .start = start,
        .held = objects_exist,
        .operations = operations,
        .take = take_called,
        .put = put_called,
        .inlined = patterns_inlined,
        .called = patterns_called,
};
