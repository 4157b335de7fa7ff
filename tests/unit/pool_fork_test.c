/* SPDX-License-Identifier: MIT */
/*
 * Fork while other threads use the pool: the child continues with its own copy of the pool, takes over what the others held
 * in their caches, and counts from 0.
 */
#include "pool/pool.h"
#include "pool/transfer.h"

#include "objects.h"
#include "pool/fast_path.h"
#include "pool/fork.h"
#include "pool/stats.h"
#include "pool/upkeep.h"
#include "tap.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, WALK_MAX = 200 };

/* What a child found wrong; its exit status. */
enum { CHILD_FINE, CHILD_BROKEN, CHILD_UNBALANCED, CHILD_COUNTERS, CHILD_LOST, CHILD_GRANDCHILD };

static struct pool pool;
static _Atomic bool is_running = true;
static _Atomic unsigned wakes;

static void wake(void)
{
	atomic_fetch_add(&wakes, 1);
}

static void *walk(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument, count = 0;
	struct object *held[WALK_MAX];

	while (atomic_load(&is_running)) {
		unsigned goal = (seed = seed * 1664525 + 1013904223) >> 8;

		/* While a fork keeps the depot closed all objects are new: what is left is the children's. */
		for (goal %= WALK_MAX; count < goal && atomic_load(&objects_made) < OBJECTS_MAX / 2;)
			held[count++] = get_object(&pool);
		while (count > goal)
			put_object(&pool, held[--count]);
	}
	while (count > 0)
		put_object(&pool, held[--count]);
	return NULL;
}

static int in_child(bool is_deep)
{
	struct pool_stats first, stats;
	struct object *object;
	uint64_t found = 0;
	unsigned woken = atomic_load(&wakes);

	pool_read(&pool, &first);
	if (first.create_local + first.create_depot + first.create_new + first.destroy_local != 0)
		return CHILD_COUNTERS;
	object = get_object(&pool);
	if (object == NULL || atomic_load(&wakes) == woken)
		return CHILD_COUNTERS;
	put_object(&pool, object);
	if (is_deep) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0)
			_exit(in_child(false));
		if (waitpid(pid, &status, 0) != pid || status != 0)
			return CHILD_GRANDCHILD;
	}
	pool_read(&pool, &stats);
	if (stats.live != first.inherited)
		return CHILD_UNBALANCED;
	while ((object = pool_take(&pool, pool.index)) != NULL) {
		objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
		found++;
	}
	if (found != stats.pooled)
		return CHILD_LOST;
	return atomic_load(&objects_broken) == 0 ? CHILD_FINE : CHILD_BROKEN;
}

static void test_under_load(unsigned forks)
{
	unsigned results[CHILD_GRANDCHILD + 2] = {0};
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, walk, (void *)(i + 1));
	for (unsigned i = 0; i < forks; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			_exit(in_child(i % 8 == 0));
		waitpid(pid, &status, 0);
		results[WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_GRANDCHILD + 1]++;
	}
	atomic_store(&is_running, false);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	tap_is(results[CHILD_FINE], forks, "fork under load: every child has a sound pool");
	for (unsigned i = 1; i < CHILD_GRANDCHILD + 2; i++) {
		if (results[i] > 0)
			printf("# %u children ended with %u\n", results[i], i);
	}
	tap_ok(is_balanced(&pool, 0), "fork under load: the parent's totals are exact");
}

static pthread_barrier_t barrier;

/* Stays inside the gate for longer than fork waits. */
static void *stay_inside(void *argument)
{
	put_object(&pool, get_object(&pool));
	gate_step_in(&thread_self->inside);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	gate_step_out(&thread_self->inside);
	return argument;
}

/* The child of a fork in a signal handler that interrupts a spill, while another thread is inside the gate. */
static int go_on_with_a_spill(struct cache *cache)
{
	struct object *object[4 * CACHE_SLOTS];
	_Atomic uint64_t retries = 0;
	unsigned long broken = atomic_load(&objects_broken);

	/* Its objects count as lost: they are never put back. */
	if (transfer_push(&pool.depot, cache->slot, DEPOT_MAX_BATCHES, &cache->spares, &gate.closed,
	            &retries) != 1 ||
	        depot_depth(&pool.depot) != 1)
		return CHILD_BROKEN;
	depot_forget(&pool.depot);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 4 * CACHE_SLOTS; i++)
			object[i] = get_object(&pool);
		for (unsigned i = 0; i < 4 * CACHE_SLOTS; i++)
			put_object(&pool, object[i]);
	}
	return atomic_load(&objects_broken) == broken ? CHILD_FINE : CHILD_BROKEN;
}

static void test_in_motion(void)
{
	struct object *object[4 * CACHE_SLOTS];
	struct cache *cache;
	pthread_t thread;
	int status = -1;
	pid_t pid;

	for (unsigned i = 0; i < 4 * CACHE_SLOTS; i++)
		object[i] = get_object(&pool);
	for (unsigned i = 0; i < 4 * CACHE_SLOTS; i++)
		put_object(&pool, object[i]);
	cache = &thread_self->cache[pool.index];
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, stay_inside, NULL);
	pthread_barrier_wait(&barrier);
	tap_ok(depot_spares_count(&cache->spares) > 0, "fork in motion: the thread has an empty node");
	pid = fork();
	if (pid == 0)
		_exit(go_on_with_a_spill(cache));
	waitpid(pid, &status, 0);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	tap_is(status, 0, "fork in motion: what a handler that forks has interrupted goes on in the child");
}

/* The child of a process whose threads are at rest: nothing is lost. */
static void test_at_rest(void)
{
	struct pool_stats before, after;
	int status = 0;
	pid_t pid;

	pool_read(&pool, &before);
	pid = fork();
	if (pid == 0) {
		pool_read(&pool, &after);
		_exit(after.pooled == before.pooled && after.inherited == 0 ? CHILD_FINE : CHILD_LOST);
	}
	waitpid(pid, &status, 0);
	tap_is(status, 0, "fork at rest: the child has all idle objects of all threads");
}

/* A thread stays in a slow path: fork does not wait for ever, and the child does not trust what threads share. */
static void test_stuck(void)
{
	struct thread *stuck = thread_next(NULL);
	int status = 0;
	pid_t pid;

	while (thread_is_own(stuck))
		stuck = thread_next(stuck);
	gate_enter(&stuck->inside);
	pid = fork();
	if (pid == 0)
		_exit(in_child(true));
	waitpid(pid, &status, 0);
	gate_leave(&stuck->inside);
	tap_is(status, 0, "fork: a thread stuck in a slow path stops neither parent nor child");
	tap_ok(is_balanced(&pool, 0), "fork: and the parent's pool goes on");
}

static void *put_while_closed(void *object)
{
	put_object(&pool, object);
	put_object(&pool, get_object(&pool));
	return NULL;
}

static void test_closed(void)
{
	struct object *object = get_object(&pool);
	pthread_t thread;

	tap_ok(is_nobody_inside(), "gate: it closes when nobody is inside");
	pool_fork_prepare();
	pthread_create(&thread, NULL, put_while_closed, object);
	pthread_join(thread, NULL);
	pool_fork_parent();
	tap_ok(is_balanced(&pool, 0), "gate: a thread that finds it closed uses the program's own functions");
}

/* ---- a destroy that does not end before the fork ---- */

static struct pool slow, narrow; /* the second has a depot that keeps nothing */
static _Atomic bool is_slow;

static void destroy_slowly(void *owner, void *object)
{
	objects_destroy(owner, object);
	if (atomic_exchange(&is_slow, false)) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
}

static const struct pool_kind slow_kind = {.name = "slow", .make = objects_make, .destroy = destroy_slowly};

static void fill(struct pool *filled, unsigned count)
{
	struct object *object[4 * CACHE_SLOTS];

	for (unsigned i = 0; i < count; i++)
		object[i] = get_object(filled);
	for (unsigned i = 0; i < count; i++)
		put_object(filled, object[i]);
}

static void *give_back(void *argument)
{
	pool_relieve(true);
	return argument;
}

static void *end_with_a_cache(void *argument)
{
	fill(&narrow, CACHE_SLOTS);
	return argument;
}

static uint64_t pooled_in(struct pool *read)
{
	struct pool_stats stats;

	pool_read(read, &stats);
	return stats.pooled;
}

static int take_all_but_one(uint64_t pooled)
{
	uint64_t found = 0;

	if (pooled_in(&slow) != pooled)
		return CHILD_LOST;
	for (; pool_take(&slow, slow.index) != NULL; found++)
		;
	return found == pooled ? CHILD_FINE : CHILD_LOST;
}

static void test_giving_back(void)
{
	uint64_t pooled;
	pthread_t thread;
	int status = -1;
	pid_t pid;

	fill(&slow, 4 * CACHE_SLOTS);
	pthread_barrier_init(&barrier, NULL, 2);
	atomic_store(&is_slow, true);
	pthread_create(&thread, NULL, give_back, NULL);
	pthread_barrier_wait(&barrier);
	pooled = pooled_in(&slow);
	tap_is(pooled, 4 * CACHE_SLOTS - 1, "fork in a destroy: what is to follow is pooled still");
	pid = fork();
	if (pid == 0)
		_exit(take_all_but_one(pooled));
	waitpid(pid, &status, 0);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	tap_is(status, 0, "fork in a destroy: the child has all but the one object");
	tap_ok(is_balanced(&slow, 0), "fork in a destroy: the parent's totals are exact");
}

static void test_thread_end(void)
{
	uint64_t pooled;
	pthread_t thread;
	int status = -1;
	pid_t pid;

	fill(&slow, 4 * CACHE_SLOTS);
	pooled = pooled_in(&slow);
	atomic_store(&is_slow, true);
	pthread_create(&thread, NULL, end_with_a_cache, NULL);
	pthread_barrier_wait(&barrier);
	pid = fork();
	if (pid == 0)
		_exit(pooled_in(&slow) == pooled && is_balanced(&narrow, 0) ? CHILD_FINE : CHILD_LOST);
	waitpid(pid, &status, 0);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	tap_is(status, 0,
	        "fork in a thread's end: the child loses nothing of other pools, and has the thread's rest");
	tap_ok(is_balanced(&narrow, 0), "fork in a thread's end: the parent's totals are exact");
}

int main(void)
{
	const char *asked = getenv("COPOOL_TEST_ROUNDS");

	pools_init(10000, wake);
	pthread_atfork(pool_fork_prepare, pool_fork_parent, pool_fork_child);
	pool_start(&pool, &objects_kind, NULL, BATCHES_DERIVED);
	pool_start(&slow, &slow_kind, NULL, DEPOT_MAX_BATCHES);
	pool_start(&narrow, &slow_kind, NULL, 0);
	test_under_load(asked != NULL ? strtoul(asked, NULL, 10) / 100 : 200);
	test_at_rest();
	test_closed();
	test_stuck();
	test_in_motion();
	test_giving_back();
	test_thread_end();
	tap_is(atomic_load(&objects_broken), 0, "pool: no object was handed out or destroyed twice");
	return tap_done();
}
