/* SPDX-License-Identifier: MIT */
#include "pool/pool.h"

#include "pool/gate.h"
#include "pool/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct {
	void (*wake)(void); /* written by pool_table_init, as the next */
	struct limits limits;
	struct pool *pool[POOL_MAX];
	_Atomic unsigned count; /* written by pool_start, as pool[] */
} pools;

void pool_table_init(void (*wake)(void))
{
	pools.wake = wake;
	limits_read(&pools.limits, "");
}

unsigned pool_cap_bearable(unsigned object_maps, size_t object_bytes)
{
	return limits_batches(&pools.limits, object_maps, object_bytes);
}

int pool_start(struct pool *pool, const struct pool_kind *kind, void *owner, unsigned max_batches)
{
	unsigned index = pool_count();

	if (index == POOL_MAX)
		return -ENOSPC;
	/* A fork that has begun interrupts the depots that it knows of. */
	if (!gate_enter(NULL))
		return -EAGAIN;
	pool->kind = kind;
	pool->owner = owner;
	pool->index = index;
	pool->max_batches = max_batches != BATCHES_DERIVED
	                            ? max_batches
	                            : pool_cap_bearable(kind->object_maps, kind->object_bytes);
	depot_init(&pool->depot);
	pools.pool[index] = pool;
	/* [pools.count] release: publishes the pool; pairs with pool_count. */
	atomic_store_explicit(&pools.count, index + 1, memory_order_release);
	gate_leave(NULL);
	return index;
}

void pool_unstart(struct pool *pool)
{
	/* [pools.count] release: as in pool_start. */
	atomic_store_explicit(&pools.count, pool->index, memory_order_release);
}

unsigned pool_count(void)
{
	/* [pools.count] acquire: the pools before it; pairs with pool_start. */
	return atomic_load_explicit(&pools.count, memory_order_acquire);
}

struct pool *pool_at(unsigned index)
{
	return pools.pool[index];
}

const char *pool_name(const struct pool *pool)
{
	return pool->kind->name;
}

bool pool_is_named(const char *name)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		if (strcmp(pool_name(pool_at(i)), name) == 0)
			return true;
	}
	return false;
}

void pool_make_unique(char *name, size_t bytes)
{
	size_t used = strlen(name);
	char number[16];

	for (unsigned i = 2; pool_is_named(name); i++) {
		size_t more = (size_t)snprintf(number, sizeof number, " #%u", i) + 1;

		memcpy(name + (used + more <= bytes ? used : bytes - more), number, more);
	}
}

struct pool_table pool_table(void)
{
	return (struct pool_table){pools.pool, &pools.count};
}

void pool_wake(void)
{
	pools.wake();
}
