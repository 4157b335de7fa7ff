/* SPDX-License-Identifier: MIT */
/* A pool that only observes: what it counts, and what the log is told. */
#include "pool/tally.h"
#include "pool/fork.h"
#include "pool/pool.h"
#include "pool/stats.h"
#include "pool/upkeep.h"

#include "tap.h"

#include <errno.h>
#include <pthread.h>

static void wake(void)
{
}

static const struct pool_kind observed = {.name = "observed", .is_observed = true};

static struct pool pool;

static struct pool_stats read_stats(void)
{
	struct pool_stats stats;

	pool_read(&pool, &stats);
	return stats;
}

static bool is_balanced(const struct pool_stats *s)
{
	return s->inherited + s->create_local + s->create_depot + s->create_new - s->destroy_local -
	                       s->destroy_depot - s->destroy_delete ==
	               s->live &&
	       s->pooled == 0 && s->peak_objects >= s->live;
}

/* So many creates; the program makes an object for some of them. Each is counted when it is done. */
static void create(unsigned creates, unsigned made)
{
	for (unsigned i = 0; i < creates; i++) {
		if (i < made)
			tally_made(&pool, &pool);
		tally_create(&pool);
	}
}

static void test_one_thread(void)
{
	struct pool_stats stats;

	errno = 77;
	create(10, 4);
	stats = read_stats();
	tap_is(errno, 77, "tally: errno is what it was");
	tap_is(stats.create_new, 4, "tally: what was made is new");
	tap_is(stats.create_local, 6, "tally: the other creates were served by the program's own pool");
	tap_is(stats.destroy_local, 6, "tally: which had taken back what it gave");
	tap_is(stats.live, 4, "tally: what exists is live");
	tap_ok(is_balanced(&stats), "tally: the equations hold");
	tally_gone(&pool, &pool);
	stats = read_stats();
	tap_ok(stats.destroy_delete == 1 && stats.live == 3 && stats.peak_objects == 4 &&
	                stats.peak_live == 4,
	        "tally: what is destroyed is not, and the peaks stay");
	tap_ok(is_balanced(&stats), "tally: and they still hold");
	tap_ok(stats.calls_saved == 0 && stats.maps_saved == 0 && stats.depot_batches == 0,
	        "tally: nothing is saved and nothing kept");
}

static void *run(void *unused)
{
	(void)unused;
	create(100000, 1000);
	for (unsigned i = 0; i < 1000; i++)
		tally_gone(&pool, &pool);
	return NULL;
}

static void test_threads(void)
{
	struct pool_stats before = read_stats(), stats;
	pthread_t thread[4];

	for (unsigned i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, run, NULL);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	stats = read_stats();
	tap_is(stats.create_new - before.create_new, 4000, "tally: no object of four threads is lost");
	tap_is(stats.create_local - before.create_local, 4 * 99000, "tally: and no create");
	tap_is(stats.live, before.live, "tally: what they made and destroyed is gone");
	tap_ok(stats.threads == 1 && is_balanced(&stats), "tally: threads that have ended are not there");
}

static void *run_new(void *unused)
{
	(void)unused;
	create(300000, 300000);
	return NULL;
}

/* Only the order of the counts tells a create in progress from one that the program's own pool served. */
static void test_readers(void)
{
	struct pool_stats before = read_stats(), last = before, stats;
	unsigned fell = 0;
	pthread_t thread[4];

	for (unsigned i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, run_new, NULL);
	do {
		stats = read_stats();
		fell += stats.create_local < last.create_local || stats.destroy_local < last.destroy_local ||
		        stats.create_new < last.create_new;
		last = stats;
	} while (stats.create_new < before.create_new + 4 * 300000);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	stats = read_stats();
	tap_is(fell, 0, "tally: no counter falls for a reader while threads are at work");
	tap_is(last.create_local, before.create_local,
	        "tally: and no object that was made seems to have been idle");
	tap_ok(stats.create_local == before.create_local && is_balanced(&stats), "tally: in the end neither");
	for (unsigned i = 0; i < 4 * 300000; i++)
		tally_gone(&pool, &pool);
}

static void *late;

/* Runs when the thread has lost its block. */
static void create_late(void *value)
{
	(void)value;
	late = &late;
	create(1000, 10);
}

static void *end_late(void *key)
{
	/* Set first, run last: keys' destructors run in the order of creation, and again for new values. */
	tally_create(&pool);
	pthread_setspecific(*(pthread_key_t *)key, key);
	return NULL;
}

static void test_late(void)
{
	struct pool_stats before = read_stats(), stats;
	pthread_key_t key;
	pthread_t thread;

	pthread_key_create(&key, create_late);
	pthread_create(&thread, NULL, end_late, &key);
	pthread_join(thread, NULL);
	stats = read_stats();
	tap_ok(late != NULL && stats.create_new == before.create_new + 10 &&
	                stats.create_local == before.create_local + 991,
	        "tally: a thread's last destructors are counted as well");
	tap_is(stats.create_depot, 0, "tally: and not as what a depot had");
}

static void test_fork(void)
{
	struct pool_stats stats;

	pool_fork_prepare();
	pool_fork_parent();
	/* As in the child. */
	pool_fork_child();
	stats = read_stats();
	tap_ok(stats.create_new == 0 && stats.create_local == 0 && stats.destroy_local == 0,
	        "tally: a fork's child counts from 0");
	tap_ok(stats.inherited == 13 && stats.live == 13 && is_balanced(&stats),
	        "tally: with what it inherited");
}

int main(void)
{
	tap_is(pools_init(0, wake), 0, "tally: pools begin");
	tap_is(pool_start(&pool, &observed, NULL, 0), 0, "tally: a pool that only observes is started");
	test_one_thread();
	test_threads();
	test_readers();
	test_late();
	test_fork();
	return tap_done();
}
