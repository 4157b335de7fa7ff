/* SPDX-License-Identifier: MIT */
/*
 * Many threads and one pool. Every object notices when it is handed out twice; at rest the totals are exact.
 * COPOOL_TEST_ROUNDS makes it longer.
 */
#include "pool/pool.h"

#include "objects.h"
#include "pool/fast_path.h"
#include "pool/stats.h"
#include "pool/upkeep.h"
#include "tap.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

enum { THREADS_MAX = 8, WALK_MAX = 512, RING = 1024 };

static unsigned rounds = 20000;

static void wake(void)
{
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

struct worker {
	struct pool *pool;
	unsigned seed;
	pthread_t thread;
	bool is_started;
};

/* Holds between 0 and WALK_MAX objects, more and fewer at random. */
static void *walk(void *argument)
{
	struct worker *worker = argument;
	struct object *held[WALK_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < rounds; i++) {
		unsigned goal = next_random(&worker->seed) % WALK_MAX;

		if (i % 64 != 0)
			goal = (count + goal % 33 + WALK_MAX - 16) % WALK_MAX;
		while (count < goal)
			held[count++] = get_object(worker->pool);
		while (count > goal)
			put_object(worker->pool, held[--count]);
	}
	while (count > 0)
		put_object(worker->pool, held[--count]);
	return NULL;
}

static void run_threads(struct pool *pool, unsigned threads, void *(*body)(void *))
{
	struct worker worker[THREADS_MAX];

	for (unsigned i = 0; i < threads; i++) {
		worker[i] = (struct worker){.pool = pool, .seed = i + 1};
		worker[i].is_started = pthread_create(&worker[i].thread, NULL, body, &worker[i]) == 0;
	}
	for (unsigned i = 0; i < threads; i++) {
		if (worker[i].is_started)
			pthread_join(worker[i].thread, NULL);
	}
}

/* Takes everything out of the pool: each object is there once, and none is missing. */
static void check_contents(struct pool *pool, const char *what)
{
	unsigned long broken = atomic_load(&objects_broken), found = 0;
	struct pool_stats stats;
	struct object *object;

	pool_read(pool, &stats);
	tap_ok(is_balanced(pool, 0), "%s: totals are exact at rest", what);
	while ((object = pool_take(pool, pool->index)) != NULL) {
		objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
		found++;
	}
	tap_is(found, stats.pooled, "%s: every idle object is found again", what);
	tap_is(atomic_load(&objects_broken), broken, "%s: no object is in the pool twice", what);
}

static void test_walk(unsigned threads, unsigned max_batches)
{
	struct pool *pool = calloc(1, sizeof *pool);
	char what[64];

	pool_start(pool, &objects_kind, NULL, max_batches);
	run_threads(pool, threads, walk);
	snprintf(what, sizeof what, "random walk, %u threads, cap %d", threads, (int)max_batches);
	check_contents(pool, what);
}

/* A ring that one thread fills and another empties: objects always end in another thread than they began. */
static struct {
	struct object *_Atomic slot[RING];
	_Atomic bool is_full;
} ring;

static void *produce(void *argument)
{
	struct pool *pool = ((struct worker *)argument)->pool;

	for (unsigned i = 0; i < rounds * 4; i++) {
		struct object *object = get_object(pool);

		while (atomic_load_explicit(&ring.slot[i % RING], memory_order_acquire) != NULL)
			sched_yield();
		atomic_store_explicit(&ring.slot[i % RING], object, memory_order_release);
	}
	return NULL;
}

static void *consume(void *argument)
{
	struct pool *pool = ((struct worker *)argument)->pool;

	for (unsigned i = 0; i < rounds * 4; i++) {
		struct object *object;

		while ((object = atomic_load_explicit(&ring.slot[i % RING], memory_order_acquire)) == NULL)
			sched_yield();
		atomic_store_explicit(&ring.slot[i % RING], NULL, memory_order_release);
		put_object(pool, object);
	}
	return NULL;
}

static void test_ring(void)
{
	static struct pool pool;
	struct worker worker = {.pool = &pool};
	struct pool_stats stats;
	pthread_t producer, consumer;

	pool_start(&pool, &objects_kind, NULL, BATCHES_DERIVED);
	pthread_create(&producer, NULL, produce, &worker);
	pthread_create(&consumer, NULL, consume, &worker);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	pool_read(&pool, &stats);
	/* The ring, both caches, and a batch under way in each direction. */
	tap_ok(stats.create_new <= RING + 2 * CACHE_SLOTS + 2 * BATCH_SIZE,
	        "producer and consumer: what is put by one is got by the other (%lu made)",
	        (unsigned long)stats.create_new);
	check_contents(&pool, "producer and consumer");
}

/* Threads that come and go while others work. */
static void *come_and_go(void *argument)
{
	struct worker *worker = argument;

	for (unsigned i = 0; i < rounds / 100; i++) {
		struct worker child = {.pool = worker->pool, .seed = worker->seed + i};
		unsigned saved = next_random(&worker->seed) % 100;
		struct object *held[100];

		for (unsigned k = 0; k < saved; k++)
			held[k] = get_object(worker->pool);
		/* `walk` with few rounds: see main. */
		if (pthread_create(&child.thread, NULL, walk, &child) == 0)
			pthread_join(child.thread, NULL);
		for (unsigned k = 0; k < saved; k++)
			put_object(worker->pool, held[k]);
	}
	return NULL;
}

static void test_churn(void)
{
	static struct pool pool;
	unsigned saved = rounds;
	struct pool_stats stats;

	pool_start(&pool, &objects_kind, NULL, BATCHES_DERIVED);
	rounds /= 50;
	run_threads(&pool, 4, come_and_go);
	rounds = saved;
	pool_read(&pool, &stats);
	tap_is(stats.threads, 1, "thread churn: threads that have ended have no cache");
	check_contents(&pool, "thread churn");
}

/* Objects put by destructors that run after the pool's own. */
static pthread_key_t late_key;
static struct pool late_pool;

static void put_late(void *object)
{
	static __thread int again;

	/* Twice round, so that the second comes after every other key's destructor. */
	if (again++ == 0) {
		pthread_setspecific(late_key, object);
		return;
	}
	put_object(&late_pool, object);
	put_object(&late_pool, get_object(&late_pool));
}

static void *end_late(void *argument)
{
	(void)argument;
	pthread_setspecific(late_key, get_object(&late_pool));
	return NULL;
}

static void test_late_destructors(void)
{
	pool_start(&late_pool, &objects_kind, NULL, BATCHES_DERIVED);
	pthread_key_create(&late_key, put_late);
	for (unsigned i = 0; i < 50; i++)
		run_threads(&late_pool, 4, end_late);
	check_contents(&late_pool, "objects put after the thread's end");
}

/* A timer's signal handler uses the pool in the middle of everything that its thread does with it. */
static struct pool signal_pool;
static _Atomic unsigned signals;

static void on_signal(int number)
{
	static struct object *held[40];
	static unsigned count;
	unsigned goal = (unsigned)number * atomic_fetch_add(&signals, 1) % 40;

	while (count < goal)
		held[count++] = get_object(&signal_pool);
	while (count > goal)
		put_object(&signal_pool, held[--count]);
	if (goal == 0)
		signals++;
}

static void test_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct itimerval every = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
	struct worker worker = {.pool = &signal_pool, .seed = 7};

	pool_start(&signal_pool, &objects_kind, NULL, BATCHES_DERIVED);
	put_object(&signal_pool, get_object(&signal_pool));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (atomic_load(&signals) < 2000)
		walk(&worker);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
	/* The handler keeps what it last held. */
	struct pool_stats stats;
	pool_read(&signal_pool, &stats);
	tap_ok(stats.live < 40, "signal handlers: only what they hold is alive (%lu)",
	        (unsigned long)stats.live);
	tap_ok(is_balanced(&signal_pool, stats.live), "signal handlers: totals are exact at rest");
}

/* A thread reads the counters all the time. */
enum { READ_THREADS = 3, READ_MOTION = CACHE_SLOTS /* what one thread may be about to do */ };

static struct {
	_Atomic bool is_wanted;
	unsigned long reads, fallen, beyond;
} reading;

static void *read_all(void *argument)
{
	struct pool *pool = argument;
	struct pool_stats now, before;

	pool_read(pool, &before);
	for (; atomic_load(&reading.is_wanted); reading.reads++, before = now) {
		pool_read(pool, &now);
		reading.fallen +=
		        now.create_local < before.create_local || now.create_depot < before.create_depot ||
		        now.destroy_local < before.destroy_local || now.destroy_depot < before.destroy_depot;
		reading.beyond += now.live > READ_THREADS * (WALK_MAX + READ_MOTION);
	}
	return NULL;
}

static void test_reader(void)
{
	static struct pool pool;
	pthread_t reader;

	pool_start(&pool, &objects_kind, NULL, BATCHES_DERIVED);
	atomic_store(&reading.is_wanted, true);
	pthread_create(&reader, NULL, read_all, &pool);
	run_threads(&pool, READ_THREADS, walk);
	atomic_store(&reading.is_wanted, false);
	pthread_join(reader, NULL);
	tap_ok(reading.reads > 0 && reading.fallen == 0, "reader: no counter falls, in %lu reads",
	        reading.reads);
	tap_is(reading.beyond, 0, "reader: no more objects seem to live than may");
	check_contents(&pool, "reader");
}

/* Objects that always end in another thread, of which a reader looks at the first, then at the second. */
static void test_reader_of_ring(bool is_swapped)
{
	static struct pool pools[2];
	struct pool *pool = &pools[is_swapped];
	struct worker worker = {.pool = pool};
	struct pool_stats stats;
	pthread_t reader, first, second;

	pool_start(pool, &objects_kind, NULL, BATCHES_DERIVED);
	atomic_store(&reading.is_wanted, true);
	pthread_create(&first, NULL, is_swapped ? consume : produce, &worker);
	pthread_create(&second, NULL, is_swapped ? produce : consume, &worker);
	pthread_create(&reader, NULL, read_all, pool);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	atomic_store(&reading.is_wanted, false);
	pthread_join(reader, NULL);
	pool_read(pool, &stats);
	tap_ok(stats.peak_live <= stats.peak_objects,
	        "reader: no more seem to live than there ever were, whoever is read first (%lu of %lu)",
	        (unsigned long)stats.peak_live, (unsigned long)stats.peak_objects);
}

/* The trimming at work beside threads that get and put. */
static _Atomic bool is_trimming;

static void *trim(void *argument)
{
	(void)argument;
	while (atomic_load(&is_trimming)) {
		pool_trim_tick();
		sched_yield();
	}
	return NULL;
}

static void test_trim(void)
{
	static struct pool pool;
	pthread_t trimmer;

	pool_start(&pool, &objects_kind, NULL, BATCHES_DERIVED);
	atomic_store(&is_trimming, true);
	pthread_create(&trimmer, NULL, trim, NULL);
	run_threads(&pool, 3, walk);
	atomic_store(&is_trimming, false);
	pthread_join(trimmer, NULL);
	check_contents(&pool, "trimming under load");
}

int main(void)
{
	const char *asked = getenv("COPOOL_TEST_ROUNDS");

	if (asked != NULL)
		rounds = strtoul(asked, NULL, 10);
	pools_init(8, wake);
	for (unsigned threads = 1; threads <= THREADS_MAX; threads *= 2)
		test_walk(threads, BATCHES_DERIVED);
	test_walk(3, 4);
	test_walk(2, 0);
	test_ring();
	test_churn();
	test_late_destructors();
	test_trim();
	test_reader();
	test_reader_of_ring(false);
	test_reader_of_ring(true);
	test_signals();
	tap_is(atomic_load(&objects_broken), 0, "pool: no object was handed out or destroyed twice");
	return tap_done();
}
