/* SPDX-License-Identifier: MIT */
#include "pool/census.h"

#include "pool/pool.h"
#include "pool/stats.h"

/* Parts are counted if there is nothing else: then the objects they belong to are in the program's own pool, not here. */
static bool counts_parts(void)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		if (!pool_at(i)->kind->is_part)
			return false;
	}
	return true;
}

static int64_t existing(bool parts)
{
	int64_t objects = 0;

	for (unsigned i = 0; i < pool_count(); i++) {
		/* [pool.objects] relaxed: a number. */
		if (pool_at(i)->kind->is_part == parts)
			objects += atomic_load_explicit(&pool_at(i)->objects, memory_order_relaxed);
	}
	return objects;
}

bool census_reaches(uint64_t number)
{
	bool parts = counts_parts();
	struct pool_stats stats;
	int64_t live = 0;

	/* Live objects exist; that is a cheap bound. */
	if (existing(parts) < (int64_t)number)
		return false;
	for (unsigned i = 0; i < pool_count(); i++) {
		if (pool_at(i)->kind->is_part != parts)
			continue;
		pool_read(pool_at(i), &stats);
		live += (int64_t)stats.live;
	}
	return live >= (int64_t)number;
}
