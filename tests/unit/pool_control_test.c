/* SPDX-License-Identifier: MIT */
/* The settings that may change while a pool is in use: what each word does, also one that makes no sense. */
#include "pool/pool.h"

#include "objects.h"
#include "pool/control.h"
#include "pool/upkeep.h"
#include "tap.h"

#include <limits.h>

enum { OBJECTS = 1000, BATCHES = (OBJECTS - CACHE_SLOTS) / BATCH_SIZE + 1, CAP = 100 };

static struct pool pool;
static struct pool_control *control;

static void wake(void)
{
}

static void set(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
}

static void ask(void)
{
	atomic_fetch_add(&control->asked, 1);
}

/* Makes and drops objects, as many as fill BATCHES batches of a depot that has room. */
static void use(void)
{
	static struct object *held[OBJECTS];

	for (unsigned i = 0; i < OBJECTS; i++)
		held[i] = get_object(&pool);
	for (unsigned i = 0; i < OBJECTS; i++)
		put_object(&pool, held[i]);
}

static void test_cap(void)
{
	tap_is(control_limit(pool.max_batches), CAP, "control: the cap is what the pool was started with");
	set(&control->max_batches, 7);
	tap_is(control_limit(pool.max_batches), 7, "control: until another is set");
	set(&control->max_batches, 0x7fffffff);
	tap_is(control_limit(pool.max_batches), DEPOT_MAX_BATCHES,
	        "control: of which none is larger than a depot");
	set(&control->max_batches, BATCHES_DERIVED);
	tap_is(control_limit(pool.max_batches), CAP, "control: and it comes back");
	set(&control->is_off, 1);
	tap_is(control_limit(pool.max_batches), 0, "control: switched off, a depot keeps nothing");
	set(&control->is_off, 0);
}

static void test_emptied(void)
{
	use();
	tap_is(depot_depth(&pool.depot), BATCHES, "control: what was used lies in the depot");
	set(&control->emptied, 5);
	tap_ok(!pool_is_asked(), "control: a word that is written asks for nothing yet");
	pool_trim_tick();
	tap_is(depot_depth(&pool.depot), BATCHES, "control: and nothing is done");
	ask();
	tap_ok(pool_is_asked(), "control: until it is asked for");
	tap_is(pool_trim_tick(), UINT_MAX, "control: emptied, the depots want no further round");
	tap_is(depot_depth(&pool.depot), 0, "control: emptied, they are empty");
	tap_ok(!pool_is_asked(), "control: and it is known to be done");
	use();
	ask();
	pool_trim_tick();
	tap_is(depot_depth(&pool.depot), BATCHES, "control: they are emptied once");
}

static void test_lowered(void)
{
	set(&control->max_batches, 3);
	ask();
	pool_trim_tick();
	tap_is(depot_depth(&pool.depot), 3, "control: what is above a lower cap is given back");
	use();
	tap_is(depot_depth(&pool.depot), 3, "control: and does not come back");
	set(&control->max_batches, BATCHES_DERIVED);
	set(&control->is_off, 1);
	ask();
	pool_trim_tick();
	use();
	tap_is(depot_depth(&pool.depot), 0, "control: switched off, it is emptied and stays so");
	set(&control->is_off, 0);
}

static void test_decay(void)
{
	use();
	set(&control->decay_ms, 0);
	tap_is(pool_trim_tick(), POOL_ASK_MS, "control: while something is idle, the words are looked at");
	set(&control->decay_ms, 1);
	tap_ok(pool_trim_tick() >= 1, "control: a window of no length is none that keeps the thread busy");
	set(&control->decay_ms, 400);
	tap_ok(pool_trim_tick() <= 400 / TRIM_STEPS, "control: a shorter window begins at once");
	set(&control->decay_ms, 0);
}

int main(void)
{
	control = control_words();
	pools_init(0, wake);
	pool_start(&pool, &objects_kind, NULL, CAP);
	test_cap();
	test_emptied();
	test_lowered();
	test_decay();
	tap_ok(is_balanced(&pool, 0), "control: the equations hold after all of it");
	tap_is(atomic_load(&objects_broken), 0, "control: and each object was destroyed once");
	return tap_done();
}
