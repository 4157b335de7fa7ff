/* SPDX-License-Identifier: MIT */
/* The pools' observer. The program's threads call it from their creates and destroys. */
#include "report/origins/origins.h"

#include "config.h"
#include "libc/real.h"
#include "system/warn.h"
#include "tables/handles.h"
#include "pool/pool.h"
#include "pool/tally.h"
#include "report/origins/unwind.h"

#include <errno.h>

static struct {
	unsigned every; /* the constructor writes this and the next three */
	bool is_asked;
	struct callers *callers; /* NULL: nothing is recorded */
	struct handles *live;    /* each live object with the number of its stack; NULL: not wanted */

	_Atomic uint64_t misses;
	_Atomic unsigned unknown; /* objects for which `live` had no room */
} watch;

/* Whether this create is a miss, and one in `every`. */
static bool is_due(bool is_miss)
{
	/* [origins.misses] relaxed: only a number. */
	return is_miss && watch.every > 0 &&
	       atomic_fetch_add_explicit(&watch.misses, 1, memory_order_relaxed) % watch.every == 0;
}

static void created(struct pool *pool, void *object, bool is_miss)
{
	int saved = errno;
	unsigned number;
	bool due, has_owner;

	if (watch.callers == NULL || unwind_is_inside())
		return;
	due = is_due(is_miss);
	/* In a pool that is only observed, a destroyed object may be in the program's own pool. */
	has_owner = watch.live != NULL && !pool->kind->is_observed;
	if (!due && !has_owner)
		return;
	number = unwind_record(watch.callers, pool->index);
	if (due)
		callers_count(watch.callers, number, watch.every);
	/* [origins.unknown] relaxed: a statistic. */
	if (has_owner && !handles_add(watch.live, object, number))
		atomic_fetch_add_explicit(&watch.unknown, 1, memory_order_relaxed);
	errno = saved;
}

static void destroyed(struct pool *pool, void *object)
{
	(void)pool;
	handles_remove(watch.live, object);
}

void origins_ask(const struct config *config)
{
	static const struct pool_observer misses = {created, NULL, false}, all = {created, destroyed, true};

	if (config->origins == 0 && !config->leaks)
		return;
	if (config->log[0] == '\0') {
		warn("%s: origins need COPOOL_LOG; none are recorded",
		        config->leaks ? "COPOOL_LEAKS" : "COPOOL_ORIGINS");
		return;
	}
	if (config->leaks)
		watch.live = handles_make();
	watch.every = config->origins;
	watch.is_asked = true;
	observer_set(watch.live != NULL ? &all : &misses);
}

void origins_start(void)
{
	struct callers *callers;

	if (!watch.is_asked || !unwind_load((void *)origins_start))
		return;
	callers = real_table(sizeof *callers);
	if (callers == NULL)
		return;
	callers_init(callers);
	watch.callers = callers;
}

void origins_begin(bool is_private)
{
	if (watch.callers != NULL)
		unwind_begin(is_private);
}

void origins_fork_child(void)
{
	if (watch.callers == NULL)
		return;
	callers_fork_child(watch.callers);
	/* [origins.misses] relaxed: the child has one thread. */
	atomic_store_explicit(&watch.misses, 0, memory_order_relaxed);
}

unsigned origins_every(void)
{
	return watch.every;
}

const struct callers *origins_callers(void)
{
	return watch.callers;
}

bool origins_live(unsigned *live, unsigned *unknown)
{
	/* [origins.unknown] relaxed: a statistic. */
	*unknown = atomic_load_explicit(&watch.unknown, memory_order_relaxed);
	if (watch.live == NULL)
		return false;
	handles_count(watch.live, live, CALLERS_NUMBERS);
	return true;
}
