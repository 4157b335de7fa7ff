/* SPDX-License-Identifier: MIT */
/* One thread and its pool: where objects go, and what the counters say. */
#include "pool/doubt.h"
#include "pool/gate.h"
#include "pool/pool.h"

#include "objects.h"
#include "pool/fast_path.h"
#include "pool/stats.h"
#include "pool/control.h"
#include "pool/tally.h"
#include "pool/upkeep.h"
#include "tap.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <time.h>

static _Atomic unsigned wakes;

static void wake(void)
{
	atomic_fetch_add(&wakes, 1);
}

static struct object *held[40000];

static void get_many(struct pool *pool, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		held[i] = get_object(pool);
}

static void put_many(struct pool *pool, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		put_object(pool, held[i]);
}

static struct pool_stats read_stats(struct pool *pool)
{
	struct pool_stats stats;

	pool_read(pool, &stats);
	return stats;
}

static void test_cache(void)
{
	static struct pool pool;
	struct object *object;

	tap_is(pool_start(&pool, &objects_kind, NULL, 4), 0, "pool: the first one has index 0");
	object = get_object(&pool);
	tap_is(read_stats(&pool).create_new, 1, "pool: an object that it does not have is made");
	put_object(&pool, object);
	tap_ok(get_object(&pool) == object, "pool: what was put last is what one gets first");
	tap_is(read_stats(&pool).create_local, 1, "pool: which counts as local");
	put_object(&pool, object);
	tap_is(read_stats(&pool).destroy_local, 2, "pool: as do the puts before it");
	tap_ok(is_balanced(&pool, 0), "pool: its equations hold");
}

static void test_batches(void)
{
	static struct pool pool;
	unsigned long destroyed = atomic_load(&objects_destroyed);

	pool_start(&pool, &objects_kind, NULL, 4);
	get_many(&pool, 200);
	tap_is(read_stats(&pool).create_new, 200, "pool: objects that live at once are all made");
	put_many(&pool, 200);
	tap_is(read_stats(&pool).depot_batches, 4, "depot: it never holds more batches than its cap");
	tap_is(read_stats(&pool).pooled, 4 * BATCH_SIZE + CACHE_SLOTS, "pool: it keeps depot and cache full");
	tap_is(atomic_load(&objects_destroyed) - destroyed, 200 - 4 * BATCH_SIZE - CACHE_SLOTS,
	        "pool: what finds no room is destroyed");
	tap_ok(is_balanced(&pool, 0), "pool: its equations hold with a full depot");
	get_many(&pool, 96);
	tap_is(read_stats(&pool).create_new, 200, "pool: what it holds is handed out before any is made");
	tap_is(read_stats(&pool).create_depot, 4, "depot: one create in sixteen takes a batch");
	tap_is(read_stats(&pool).pooled, 0, "pool: it can be emptied to the last object");
	put_many(&pool, 96);
	tap_is(read_stats(&pool).peak_objects, 200, "pool: peak_objects is exact");
}

/* The edge of a batch, where the list of 2020 went to the depot on every pair. */
static void test_edge(void)
{
	static struct pool pool;
	struct pool_stats before, after;

	pool_start(&pool, &objects_kind, NULL, 100);
	get_many(&pool, 500);
	put_many(&pool, 484);
	before = read_stats(&pool);
	for (unsigned i = 0; i < 1000; i++) {
		put_object(&pool, held[499]);
		put_object(&pool, held[498]);
		held[498] = get_object(&pool);
		held[499] = get_object(&pool);
	}
	after = read_stats(&pool);
	tap_ok(after.create_depot + after.destroy_depot - before.create_depot - before.destroy_depot <= 2,
	        "cache: a thread that swings over the edge of a batch does not touch the depot");
}

static void test_caps(void)
{
	static struct pool none, derived, fixed;

	pool_start(&none, &objects_kind, NULL, 0);
	get_many(&none, 100);
	put_many(&none, 100);
	tap_is(read_stats(&none).pooled, CACHE_SLOTS, "pool: with a cap of 0 only the cache keeps objects");
	tap_ok(is_balanced(&none, 0), "pool: its equations hold without a depot");

	pool_start(&derived, &objects_kind, NULL, BATCHES_DERIVED);
	tap_ok(control_limit(derived.max_batches) > 0 &&
	                control_limit(derived.max_batches) <= DEPOT_MAX_BATCHES,
	        "pool: a derived cap is within what the depot can hold");
	pool_start(&fixed, &objects_kind, NULL, 7);
	tap_is(control_limit(fixed.max_batches), 7, "pool: a cap that was asked for is the cap");
}

static void test_failure(void)
{
	static struct pool pool;

	pool_start(&pool, &objects_kind, NULL, 4);
	atomic_store(&objects_fail, 1);
	errno = 0;
	tap_ok(get_object(&pool) == NULL, "pool: a create that fails, fails");
	atomic_store(&objects_fail, 0);
	tap_is(read_stats(&pool).create_new, 0, "pool: a create that failed is not counted");
	errno = E2BIG;
	get_many(&pool, 100);
	put_many(&pool, 100);
	tap_is(errno, E2BIG, "pool: errno survives takes, puts, spills and refills");
}

/* Ends a step of the window, and gives back what it says. Returns how many batches. */
static unsigned end_step(struct pool *pool, uint64_t now)
{
	unsigned release = trim_advance(&pool->trim, &pool->depot, 800, now);
	_Atomic uint64_t retries = 0;
	void *object[BATCH_SIZE];

	for (unsigned i = 0; i < release && depot_pop(&pool->depot, object, &retries); i++) {
		for (unsigned j = 0; j < BATCH_SIZE; j++)
			pool_destroy(pool, object[j]);
	}
	return release;
}

static void test_trim(void)
{
	static struct pool pool;
	struct trim *trim = &pool.trim;
	uint64_t now = 1000;
	unsigned released = 0, steps = 0;

	pool_start(&pool, &objects_kind, NULL, 100);
	tap_is(trim_advance(trim, &pool.depot, 800, now), 0, "trim: an empty depot has nothing to give");
	tap_is(trim->next_ms, 0, "trim: and stops the clock");
	get_many(&pool, 1000);
	put_many(&pool, 1000);
	for (; steps < TRIM_STEPS; steps++, now += 100)
		released += trim_advance(trim, &pool.depot, 800, now);
	tap_is(released, 0, "trim: nothing goes before a whole window has passed");
	for (; steps < 2 * TRIM_STEPS; steps++, now += 100)
		released += end_step(&pool, now);
	tap_ok(released >= 61 * 95 / 100,
	        "trim: after two windows nearly all that nobody needed has gone (%u)", released);
	tap_ok(released <= 61, "trim: never more than there was");
}

/* A burst in every window: its objects are needed again and again. */
static void test_working_set(void)
{
	static struct pool pool;
	uint64_t now = 1000;
	unsigned released = 0;

	pool_start(&pool, &objects_kind, NULL, 100);
	for (unsigned step = 0; step < 8 * TRIM_STEPS; step++, now += 100) {
		if (step % (TRIM_STEPS - 1) == 0) {
			get_many(&pool, 1000);
			put_many(&pool, 1000);
		}
		released += trim_advance(&pool.trim, &pool.depot, 800, now);
	}
	tap_is(released, 0, "trim: bursts repeated within a window lose nothing");
	tap_is(read_stats(&pool).create_new, 1000, "trim: and so make nothing again");
}

/* After a burst a few batches go to and fro, and then none. */
static void test_in_use(void)
{
	static struct pool pool;
	uint64_t now = 1000;
	unsigned released = 0;

	pool_start(&pool, &objects_kind, NULL, 100);
	get_many(&pool, 1000);
	put_many(&pool, 1000);
	for (unsigned step = 0; step < 8 * TRIM_STEPS; step++, now += 100) {
		released += end_step(&pool, now);
		get_many(&pool, 4 * BATCH_SIZE);
		put_many(&pool, 4 * BATCH_SIZE);
	}
	tap_ok(released > 30, "trim: a depot in use gives back, too");
	tap_is(pool.trim.low[pool.trim.step], TRIM_KEPT, "trim: but keeps 16 batches that were not needed");
	for (unsigned step = 0; step < 4 * TRIM_STEPS; step++, now += 100)
		end_step(&pool, now);
	tap_is(depot_depth(&pool.depot), 0, "trim: until it is no longer in use");
}

static void test_tick(void)
{
	static struct pool pool;
	unsigned long broken = atomic_load(&objects_broken);
	unsigned wait = 0, before;

	pool_start(&pool, &objects_kind, NULL, 100);
	before = atomic_load(&wakes);
	get_many(&pool, 1000);
	put_many(&pool, 1000);
	tap_ok(atomic_load(&wakes) > before, "pool: the first batch in the depot wakes the trimming");
	while (read_stats(&pool).depot_batches > 0) {
		wait = pool_trim_tick();
		if (wait == UINT_MAX)
			break;
		nanosleep(&(struct timespec){.tv_nsec = (wait % 1000) * 1000000}, NULL);
	}
	tap_is(read_stats(&pool).depot_batches, 0, "trim: by the clock, the depot of an idle pool empties");
	tap_is(read_stats(&pool).trimmed, 61 * BATCH_SIZE, "trim: what was given back counts as trimmed");
	tap_ok(is_balanced(&pool, 0), "trim: the equations hold after it");
	tap_is(atomic_load(&objects_broken), broken, "trim: each object is destroyed once");
}

/* As put_object, into this thread's own cache; false: it is the caller's still. */
static bool keep_object(struct pool *pool, struct object *object)
{
	objects_move(object, OBJECT_LIVE, OBJECT_IDLE);
	if (pool_keep(pool, pool->index, object))
		return true;
	objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
	return false;
}

static void test_keep(void)
{
	static struct pool pool, small;
	unsigned kept = 0;

	pool_start(&pool, &objects_kind, NULL, 4);
	get_many(&pool, 200);
	tap_ok(keep_object(&pool, held[0]) && get_object(&pool) == held[0],
	        "keep: what a thread keeps is what it gets next");
	for (unsigned i = 0; i < CACHE_SLOTS + 1; i++)
		kept += keep_object(&pool, held[i]);
	tap_is(kept, CACHE_SLOTS + 1, "keep: a full cache spills a batch, and keeps one more");
	tap_ok(read_stats(&pool).depot_batches == 1 && read_stats(&pool).destroy_depot == 1,
	        "keep: which lies in the depot");
	tap_ok(get_object(&pool) == held[CACHE_SLOTS], "keep: the last one stays in the thread's own cache");
	keep_object(&pool, held[CACHE_SLOTS]);
	for (unsigned i = CACHE_SLOTS + 1; i < 200; i++)
		kept += keep_object(&pool, held[i]);
	tap_is(kept, 4 * BATCH_SIZE + CACHE_SLOTS, "keep: no more are kept than cache and depot hold");
	tap_ok(is_balanced(&pool, 200 - kept), "keep: what was not kept lives on, and is the caller's");
	for (unsigned i = kept; i < 200; i++)
		put_object(&pool, held[i]);
	tap_is(read_stats(&pool).live, 0, "keep: and may put it in another way");

	pool_start(&small, &objects_kind, NULL, 0);
	get_many(&small, CACHE_SLOTS + 1);
	for (unsigned i = 0; i < CACHE_SLOTS; i++)
		keep_object(&small, held[i]);
	tap_ok(!keep_object(&small, held[CACHE_SLOTS]), "keep: without a depot, a full cache keeps no more");
	tap_ok(get_object(&small) == held[CACHE_SLOTS - 1], "keep: and goes on with what it has");
	tap_ok(is_balanced(&small, 2), "keep: the equations hold");
}

static struct pool late;
static pthread_key_t late_key;
static struct object *late_object;
static bool late_is_kept;

/* A destructor that runs after our own: the thread's cache is gone. */
static void keep_late(void *unused)
{
	(void)unused;
	late_is_kept = keep_object(&late, late_object);
}

static void *end_late(void *unused)
{
	late_object = get_object(&late);
	pthread_setspecific(late_key, &late);
	return unused;
}

/* As a signal handler that interrupts its own thread's use of the cache. */
static void test_keep_without_cache(void)
{
	struct cache *cache;
	struct object *object;
	pthread_t thread;
	int64_t top;

	pool_start(&late, &objects_kind, NULL, 4);
	pthread_key_create(&late_key, keep_late);
	pthread_create(&thread, NULL, end_late, NULL);
	pthread_join(thread, NULL);
	tap_ok(!late_is_kept && is_balanced(&late, 1),
	        "keep: a thread that has no cache any more keeps nothing");
	put_object(&late, late_object);
	object = get_object(&late);
	cache = &thread_self->cache[late.index];
	top = cache_close(cache);
	tap_ok(!keep_object(&late, object), "keep: nor does one that is interrupted in its cache");
	tap_is(atomic_load(&cache->top) + CACHE_BUSY, top, "keep: which stays as it was left");
	cache_open(cache, top);
	put_object(&late, object);
	tap_ok(is_balanced(&late, 0), "keep: its equations hold");
}

/* As machine code does, which has closed the cache. */
static struct object *take_slowly(struct pool *pool)
{
	struct cache *cache = &thread_self->cache[pool->index];
	struct object *object;

	object = pool_take_slow(pool, cache, cache_close(cache));
	if (object != NULL)
		objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
	return object;
}

static void *take_first(void *pool)
{
	return take_slowly(pool);
}

static void test_take_slow(void)
{
	static struct pool pool;
	struct object *object;
	struct cache *cache;
	pthread_t thread;
	void *taken;

	pool_start(&pool, &objects_kind, NULL, 4);
	cache = &thread_self->cache[pool.index];
	tap_ok(take_slowly(&pool) == NULL && read_stats(&pool).create_new == 0,
	        "take_slow: an empty pool has nothing, and makes nothing");
	tap_is(cache_count(cache), 0, "take_slow: the cache is open and empty");
	get_many(&pool, CACHE_SLOTS + 1);
	put_many(&pool, CACHE_SLOTS + 1);
	object = take_slowly(&pool);
	tap_ok(object == held[CACHE_SLOTS], "take_slow: it takes from the cache");
	put_object(&pool, object);
	get_many(&pool, BATCH_SIZE + 1);
	object = take_slowly(&pool);
	tap_ok(object != NULL && cache_count(cache) == BATCH_SIZE - 1 && read_stats(&pool).create_depot == 1,
	        "take_slow: an empty cache takes a batch from the depot");
	pthread_create(&thread, NULL, take_first, &pool);
	pthread_join(thread, &taken);
	tap_ok(taken == NULL, "take_slow: a thread's first finds nothing where all lies in another's cache");
	put_object(&pool, object);
	put_many(&pool, BATCH_SIZE + 1);
	pthread_create(&thread, NULL, take_first, &pool);
	pthread_join(thread, &taken);
	tap_ok(taken != NULL, "take_slow: and takes from the depot where there is something");
	put_object(&pool, taken);
	tap_ok(is_balanced(&pool, 0), "take_slow: the equations hold");
}

static void test_passed_on(void)
{
	static struct pool pool;
	struct pool_stats stats;
	struct object *object;

	pool_start(&pool, &objects_kind, NULL, 4);
	object = get_object(&pool);
	tap_ok(!doubt_is_due(&pool), "passed on: as long as nothing is, no miss is due");
	doubt_pass_on(&pool, object);
	stats = read_stats(&pool);
	tap_ok(stats.live == 0 && stats.destroy_delete == 1, "passed on: the object is gone for us");
	tap_ok(doubt_is_due(&pool), "passed on: every miss is due while the program has one");
	tap_ok(doubt_take_back(&pool, object), "passed on: what comes back is known");
	stats = read_stats(&pool);
	tap_ok(stats.live == 1 && stats.create_new == 2, "passed on: and counts as made");
	tap_ok(!doubt_take_back(&pool, object) && !doubt_is_due(&pool),
	        "passed on: once; what comes back besides ended elsewhere");
	put_object(&pool, object);
}

static void test_doubt(void)
{
	static struct pool pool, other;
	unsigned due = 0, first = 0;
	struct pool_stats stats;

	pool_start(&pool, &objects_kind, NULL, 4);
	pool_start(&other, &objects_kind, NULL, 4);
	get_many(&pool, DOUBT_AFTER - 1);
	tap_is(doubt_made(&pool), 2047, "doubt: it knows how many objects were made");
	for (unsigned i = 0; i < 1000; i++)
		due += doubt_is_due(&pool);
	tap_is(due, 0, "doubt: there is none before 2048");
	held[DOUBT_AFTER - 1] = get_object(&pool);
	for (unsigned i = 0; i < 6400; i++) {
		bool is_due = doubt_is_due(&pool);

		first = due == 0 && is_due ? i + 1 : first;
		due += is_due;
	}
	tap_is(due, 100, "doubt: of those after, one in 64 is due");
	tap_ok(first > 0 && first <= 64, "doubt: and one among the first 64");
	tap_ok(!pool_is_withdrawn(&pool) && !pool_any_withdrawn(), "doubt: no pool is withdrawn by itself");
	put_many(&pool, DOUBT_AFTER);
	tap_ok(read_stats(&pool).pooled > 0, "doubt: a pool in doubt keeps objects");
	pool_withdraw(&pool);
	pool_withdraw(&pool);
	tap_ok(pool_is_withdrawn(&pool) && !pool_is_withdrawn(&other) && pool_any_withdrawn(),
	        "withdrawn: the pool is, and no other");
	for (unsigned i = due = 0; i < 1000; i++)
		due += doubt_is_due(&pool);
	tap_is(due, 1000, "withdrawn: every miss is due");
	stats = read_stats(&pool);
	tap_ok(memcmp(&stats, &(struct pool_stats){0}, sizeof stats) == 0,
	        "withdrawn: all counters read as 0");
	for (unsigned i = 0; i < 4 * BATCH_SIZE + CACHE_SLOTS; i++)
		held[i] = get_object(&pool);
	tap_is(doubt_made(&pool), DOUBT_AFTER, "withdrawn: what it holds is still handed out");
	put_many(&pool, 4 * BATCH_SIZE + CACHE_SLOTS);
	stats = read_stats(&pool);
	tap_is(stats.pooled + stats.create_local + stats.destroy_local, 0, "withdrawn: which counts nothing");
}

static void test_unstart(void)
{
	static struct pool gone, next;
	unsigned count = pool_count();
	int index = pool_start(&gone, &objects_kind, NULL, 4);

	tap_is(index, count, "unstart: a pool that is started is the last");
	pool_unstart(&gone);
	tap_is(pool_count(), count, "unstart: and then there was none");
	tap_is(pool_start(&next, &objects_kind, NULL, 4), index, "unstart: the next one has its index");
	tap_ok(pool_at(index) == &next && pool_count() == count + 1, "unstart: and its place");
	get_many(&next, 100);
	put_many(&next, 100);
	tap_ok(is_balanced(&next, 0), "unstart: in which it works");
}

/*
 * As a signal handler that interrupts its own thread's use of the cache: it is served by the depot, and what is left of the
 * batch serves the thread when cache and depot are empty.
 */
static void test_shared(void)
{
	static struct pool pool;
	struct pool_stats stats;
	struct cache *cache;
	unsigned got = 0;
	int64_t top;

	pool_start(&pool, &objects_kind, NULL, 4);
	cache = &thread_self->cache[pool.index];
	get_many(&pool, CACHE_SLOTS + BATCH_SIZE);
	put_many(&pool, CACHE_SLOTS + BATCH_SIZE);
	get_many(&pool, CACHE_SLOTS);
	stats = read_stats(&pool);
	tap_ok(stats.depot_batches == 1 && cache_count(cache) == 0,
	        "shared: (a batch is in the depot alone)");
	top = cache_close(cache);
	tap_ok(pool_take(&pool, pool.index) != NULL,
	        "shared: a closed cache is not needed for a batch of the depot");
	cache_reopen(cache, top);
	tap_ok(depot_depth(&pool.depot) == 0 && cache_count(cache) == 0,
	        "shared: nor does it get that batch");
	while (pool_take(&pool, pool.index) != NULL)
		got++;
	tap_is(got, BATCH_SIZE - 1, "shared: when cache and depot are empty, the rest of the batch is taken");
	tap_is(read_stats(&pool).pooled, 0, "shared: until nothing is left");
	tap_is(read_stats(&pool).create_new, CACHE_SLOTS + BATCH_SIZE, "shared: and nothing is made before");
}

/* As a signal handler that interrupts a spill after the push, and ends the thread. */
static void *leave_in_the_middle(void *argument)
{
	struct pool *pool = argument;
	_Atomic uint64_t retries = 0;
	struct cache *cache;

	get_many(pool, CACHE_SLOTS);
	put_many(pool, CACHE_SLOTS);
	cache = &thread_self->cache[pool->index];
	cache_close(cache);
	gate_step_in(&thread_self->inside);
	depot_push(&pool->depot, cache->slot + BATCH_SIZE, DEPOT_MAX_BATCHES, &retries);
	pthread_exit(NULL);
}

static void test_abandoned(void)
{
	static struct pool pool;
	unsigned long broken = atomic_load(&objects_broken);
	struct pool_stats stats;
	pthread_t thread;

	pool_start(&pool, &objects_kind, NULL, DEPOT_MAX_BATCHES);
	pthread_create(&thread, NULL, leave_in_the_middle, &pool);
	pthread_join(thread, NULL);
	stats = read_stats(&pool);
	tap_ok(stats.pooled == BATCH_SIZE && stats.live == 0,
	        "abandoned: what a thread left in the middle of a spill is in the depot, or nowhere");
	get_many(&pool, 2 * CACHE_SLOTS);
	tap_is(atomic_load(&objects_broken), broken, "abandoned: and nothing is handed out twice");
	tap_ok(is_nobody_inside(), "abandoned: the next fork finds nobody inside");
}

/* In the log only its name tells a pool from another. */
static void test_names(void)
{
	static struct pool first, second;
	static struct pool_kind kinds[2];
	char name[12] = "same";

	kinds[0] = kinds[1] = objects_kind;
	kinds[0].name = "same";
	pool_start(&first, &kinds[0], NULL, 1);
	tap_ok(pool_is_named("same") && !pool_is_named("sam"), "names: a name is taken when a pool has it");
	pool_make_unique(name, sizeof name);
	tap_is_text(name, "same #2", "names: the second of a name gets a number");
	kinds[1].name = "same #2";
	pool_start(&second, &kinds[1], NULL, 1);
	strcpy(name, "same");
	pool_make_unique(name, sizeof name);
	tap_is_text(name, "same #3", "names: the third gets another");
	kinds[1].name = "eleven char";
	strcpy(name, "eleven char");
	pool_make_unique(name, sizeof name);
	tap_is_text(name, "eleven c #2", "names: where there is no room it takes the place of the end");
	strcpy(name, "other");
	pool_make_unique(name, sizeof name);
	tap_is_text(name, "other", "names: what nobody has is left alone");
}

int main(void)
{
	pools_init(100, wake);
	test_cache();
	tap_ok(atomic_load(&wakes) == 1, "pool: a thread's first use wakes the statistics thread");
	test_batches();
	test_edge();
	test_caps();
	test_failure();
	test_trim();
	test_working_set();
	test_in_use();
	test_keep();
	test_keep_without_cache();
	test_take_slow();
	test_unstart();
	test_passed_on();
	test_doubt();
	test_tick();
	tap_is(atomic_load(&objects_broken), 0, "pool: no object was handed out or destroyed twice");
	test_shared();
	test_abandoned();
	test_names();
	return tap_done();
}
