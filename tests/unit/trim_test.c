/* SPDX-License-Identifier: MIT */
/* When idle objects go: by the clock, together, and at once when memory is short. */
#include "pool/trim.h"

#include "objects.h"
#include "pool/control.h"
#include "pool/upkeep.h"
#include "tap.h"

#include <limits.h>

enum { OBJECTS = 1000, BATCHES = 61, WINDOW_MS = 800, STEP_MS = WINDOW_MS / TRIM_STEPS };

static struct pool pool;

static void wake(void)
{
}

/* Makes objects as far as there are none, and drops them all. */
static void use(unsigned count)
{
	static struct object *held[OBJECTS];

	for (unsigned i = 0; i < count; i++)
		held[i] = get_object(&pool);
	for (unsigned i = 0; i < count; i++)
		put_object(&pool, held[i]);
}

static void advance(struct trim *trim, uint64_t now_ms)
{
	_Atomic uint64_t retries = 0; /* a compare-and-swap may fail for no reason, with one thread too */
	void *object[BATCH_SIZE];

	for (unsigned release = trim_advance(trim, &pool.depot, WINDOW_MS, now_ms); release > 0; release--)
		depot_pop(&pool.depot, object, &retries);
}

/* From an empty depot and a window that begins at 1 ms. */
static void begin(struct trim *trim)
{
	memset(trim, 0, sizeof *trim);
	pool_relieve(true);
	use(OBJECTS);
	tap_is(depot_depth(&pool.depot), BATCHES, "trim: (there is something to give)");
	advance(trim, 1);
}

static void test_beat(void)
{
	struct trim trim;

	begin(&trim);
	tap_is(trim.next_ms, 2 * STEP_MS,
	        "trim: a step ends at a multiple of its length, and is a whole one");
	advance(&trim, 2 * STEP_MS + STEP_MS - 1);
	tap_is(trim.next_ms, 3 * STEP_MS, "trim: nor does a call that comes late move the next one");
	for (unsigned step = 3; step <= 8; step++)
		advance(&trim, step * STEP_MS);
	tap_is(depot_depth(&pool.depot), BATCHES, "trim: nothing goes before a window is full");
	advance(&trim, 10 * STEP_MS);
	tap_ok(depot_depth(&pool.depot) == BATCHES / 4,
	        "trim: a call that comes a step late does the work of two");
	advance(&trim, 1000 * STEP_MS);
	tap_ok(depot_depth(&pool.depot) > 0,
	        "trim: one that comes very late, of a stopped process, not of all");
}

static void test_hurry(void)
{
	use(OBJECTS);
	pool_relieve(true);
	tap_is(depot_depth(&pool.depot), 0, "trim: when memory becomes short all goes");
	use(OBJECTS);
	pool_relieve(false);
	tap_is(depot_depth(&pool.depot), BATCHES,
	        "trim: while it stays short, what was just needed does not");
	use(OBJECTS / 2);
	pool_relieve(false);
	tap_ok(depot_depth(&pool.depot) < BATCHES && depot_depth(&pool.depot) >= BATCHES / 2 - 2,
	        "trim: what was not needed since the last time does");
	pool_relieve(false);
	tap_is(depot_depth(&pool.depot), 0, "trim: also when nothing happens any more");
}

/* What the thread does next, with a window of 10 s and one of 1 s. */
static void test_wait(void)
{
	unsigned wait;

	tap_is(pool_trim_tick(), UINT_MAX, "trim: an empty depot wants nothing");
	tap_ok(!pool_has_spare(), "trim: it has nothing to spare");
	use(OBJECTS);
	tap_ok(pool_has_spare(), "trim: a depot with something in it has");
	wait = pool_trim_tick();
	tap_ok(wait >= POOL_ASK_MS && wait < 2 * POOL_ASK_MS,
	        "trim: it wants to be seen to in 1 to 2 s (%u ms)", wait);
	tap_is(pool_trim_patience(), POOL_ASK_MS, "trim: and can wait as long again for a sample");
	atomic_store(&control_words()->decay_ms, 1000);
	tap_ok(pool_trim_tick() <= 250, "trim: with a short window each step is kept to");
	tap_is(pool_trim_patience(), 125, "trim: and can wait for a step");
	atomic_store(&control_words()->decay_ms, 0);
	pool_relieve(true);
	tap_is(depot_depth(&pool.depot), BATCHES,
	        "trim: what is never to be given back stays when memory is short");
	tap_ok(!pool_has_spare(), "trim: it is not to spare");
	tap_is(pool_trim_tick(), POOL_ASK_MS, "trim: and is looked at, as it may be asked for from outside");
}

int main(void)
{
	pools_init(10000, wake);
	pool_start(&pool, &objects_kind, NULL, 100);
	test_beat();
	test_hurry();
	test_wait();
	tap_is(atomic_load(&objects_broken), 0, "trim: no object was destroyed twice");
	return tap_done();
}
