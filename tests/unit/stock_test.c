/* SPDX-License-Identifier: MIT */
/*
 * What a program's own pool would have done: the pool's estimate against QEMU's two ways, written down once more here
 * object by object, as util/qemu-coroutine.c of 7.2 and of 10.0 have them.
 */
#include "pool/stock.h"

#include "objects.h"
#include "pool/fork.h"
#include "pool/stats.h"
#include "pool/upkeep.h"
#include "tap.h"

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

enum { THREADS = 3, MAKE_CALLS = 2, DESTROY_CALLS = 1, LOCAL_BATCHES = 2 };

/* ---- QEMU's pools, one object at a time ---- */

struct replay {
	bool has_batches;
	unsigned size;                                            /* pool_max_size, or global_pool_max_size */
	unsigned shared;                                          /* release_pool_size, or global_pool_size */
	unsigned own[THREADS];                                    /* alloc_pool_size */
	unsigned batch[THREADS][LOCAL_BATCHES], batches[THREADS]; /* sizes in local_pool, the head last */
	uint64_t made, destroyed;
};

static void create_by_lists(struct replay *replay, unsigned thread)
{
	if (replay->own[thread] == 0 && replay->shared > 64) {
		replay->own[thread] = replay->shared;
		replay->shared = 0;
	}
	if (replay->own[thread] > 0)
		replay->own[thread]--;
	else
		replay->made++;
}

static void destroy_by_lists(struct replay *replay, unsigned thread)
{
	if (replay->shared < replay->size * 2)
		replay->shared++;
	else if (replay->own[thread] < replay->size)
		replay->own[thread]++;
	else
		replay->destroyed++;
}

static void create_by_batches(struct replay *replay, unsigned thread)
{
	if (replay->batches[thread] == 0 && replay->shared > 0) {
		replay->shared -= 128;
		replay->batch[thread][replay->batches[thread]++] = 128;
	}
	if (replay->batches[thread] == 0)
		replay->made++;
	else if (--replay->batch[thread][replay->batches[thread] - 1] == 0)
		replay->batches[thread]--;
}

static void put_global(struct replay *replay)
{
	if (replay->shared < replay->size)
		replay->shared += 128;
	else
		replay->destroyed += 128;
}

static void destroy_by_batches(struct replay *replay, unsigned thread)
{
	unsigned *batch = replay->batch[thread];

	if (replay->batches[thread] == 0)
		batch[replay->batches[thread]++] = 0;
	if (batch[replay->batches[thread] - 1] >= 128) {
		if (replay->batches[thread] == LOCAL_BATCHES) {
			put_global(replay);
			replay->batches[thread]--;
		}
		batch[replay->batches[thread]++] = 0;
	}
	batch[replay->batches[thread] - 1]++;
}

static void replay_create(struct replay *replay, unsigned thread)
{
	if (replay->has_batches)
		create_by_batches(replay, thread);
	else
		create_by_lists(replay, thread);
}

static void replay_destroy(struct replay *replay, unsigned thread)
{
	if (replay->has_batches)
		destroy_by_batches(replay, thread);
	else
		destroy_by_lists(replay, thread);
}

static unsigned own_of(const struct replay *replay, unsigned thread)
{
	unsigned own = replay->own[thread];

	for (unsigned i = 0; i < replay->batches[thread]; i++)
		own += replay->batch[thread][i];
	return own;
}

/* ---- the arithmetic ---- */

static unsigned random_below(unsigned limit)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

static struct stock stock_of(bool has_batches)
{
	static _Atomic unsigned size[] = {64, 128};

	return (struct stock){
	        .way = has_batches ? STOCK_BATCHES : STOCK_LISTS,
	        .batch = has_batches ? 128 : 64,
	        .size = &size[has_batches],
	        .most = UINT_MAX,
	        .make_calls = MAKE_CALLS,
	        .destroy_calls = DESTROY_CALLS,
	};
}

/* Three threads create and destroy runs of all lengths; now and then the size changes. */
static void test_runs(bool has_batches, unsigned most)
{
	struct stock stock = stock_of(has_batches);
	struct replay replay = {.has_batches = has_batches, .size = *stock.size};
	struct stock_run run = {.stock = &stock, .size = *stock.size};
	unsigned idle[THREADS] = {0}, step;

	for (step = 0; step < 20000; step++) {
		unsigned thread = random_below(THREADS), count = 1 + random_below(most);
		bool is_create = random_below(2) == 0;

		if (step % 1000 == 999)
			replay.size = run.size = *stock.size + 64 * random_below(8);
		run.idle = idle[thread];
		stock_play(&run, is_create ? count : 0, is_create ? 0 : count, 0, is_create);
		idle[thread] = run.idle;
		for (unsigned i = 0; i < count; i++)
			(is_create ? replay_create : replay_destroy)(&replay, thread);
		if (run.made != replay.made || run.destroyed != replay.destroyed ||
		        run.shared != replay.shared || idle[thread] != own_of(&replay, thread))
			break;
	}
	tap_is(step, 20000, "stock: runs of up to %u objects leave %s as they would be in QEMU", most,
	        has_batches ? "batches" : "lists");
}

/* Pairs, of which there are more than anybody would play one by one. */
static void test_pairs(bool has_batches, unsigned idle, unsigned shared)
{
	struct stock stock = stock_of(has_batches);
	struct replay replay = {
	        .has_batches = has_batches, .size = *stock.size, .shared = shared, .own = {idle}};
	struct stock_run run = {.stock = &stock, .size = *stock.size, .idle = idle, .shared = shared};

	if (idle > 0 && has_batches)
		replay.batch[0][replay.batches[0]++] = replay.own[0];
	replay.own[0] = has_batches ? 0 : idle;
	stock_play(&run, 1000000, 1000000, CACHE_SLOTS, true);
	for (unsigned i = 0; i < 1000000; i++) {
		replay_destroy(&replay, 0);
		replay_create(&replay, 0);
	}
	tap_ok(run.made == replay.made ||
	                (run.made < replay.made + CACHE_SLOTS && replay.made < run.made + CACHE_SLOTS),
	        "stock: a million pairs on %u and %u objects in %s miss as often as they would", idle, shared,
	        has_batches ? "batches" : "lists");
	if (run.made != replay.made)
		printf("# %llu, in QEMU %llu\n", (unsigned long long)run.made,
		        (unsigned long long)replay.made);
}

/* ---- with a pool in front ---- */

static void wake(void)
{
}

static struct object *held[4096];
static unsigned live;

struct trial {
	struct pool pool;
	struct pool_kind kind;
	struct stock stock;
	struct replay replay;
};

static void create(struct trial *trial, unsigned thread)
{
	held[live++] = get_object(&trial->pool);
	replay_create(&trial->replay, thread);
}

static void destroy(struct trial *trial, unsigned thread)
{
	put_object(&trial->pool, held[--live]);
	replay_destroy(&trial->replay, thread);
}

static void begin(struct trial *trial, bool has_batches)
{
	live = 0;
	trial->stock = stock_of(has_batches);
	trial->replay = (struct replay){.has_batches = has_batches, .size = *trial->stock.size};
	trial->kind = objects_kind;
	trial->kind.stock = &trial->stock;
	pool_start(&trial->pool, &trial->kind, NULL, 1000);
}

/* System calls saved by the pool, and by what the program's own would have done. */
static void get_calls(struct trial *trial, int64_t *estimate, int64_t *truth)
{
	struct pool_stats stats;

	pool_read(&trial->pool, &stats);
	*estimate = (int64_t)stats.calls_saved;
	*truth = (int64_t)(MAKE_CALLS * trial->replay.made + DESTROY_CALLS * trial->replay.destroyed) -
	         (int64_t)(MAKE_CALLS * stats.create_new +
	                   DESTROY_CALLS * (stats.destroy_delete + stats.trimmed));
}

/* Within `percent` of the truth, or within three dozen. */
static void check(struct trial *trial, unsigned percent, const char *what, unsigned amount)
{
	int64_t estimate, truth, off;

	while (live > 0)
		destroy(trial, 0);
	get_calls(trial, &estimate, &truth);
	off = estimate > truth ? estimate - truth : truth - estimate;
	tap_ok(off <= 36 || (uint64_t)off * 100 <= percent * (uint64_t)truth,
	        "stock: %s of %u in %s save what they would cost", what, amount,
	        trial->replay.has_batches ? "batches" : "lists");
	printf("# %lld, in truth %lld\n", (long long)estimate, (long long)truth);
}

/* As qemu-img bench with a flush: all come back before the next come, and one that is alone. */
static void test_bursts(struct trial *trial, bool has_batches, unsigned amount)
{
	begin(trial, has_batches);
	for (unsigned burst = 0; burst < 100; burst++) {
		while (live < amount)
			create(trial, 0);
		while (live > 0)
			destroy(trial, 0);
		create(trial, 0);
		destroy(trial, 0);
	}
	check(trial, 1, "bursts", amount);
}

/* Without: some come back, as many follow. */
static void test_flow(struct trial *trial, bool has_batches, unsigned amount)
{
	begin(trial, has_batches);
	while (live < amount)
		create(trial, 0);
	for (unsigned round = 0; round < 10000; round++) {
		unsigned back = 1 + random_below(amount);

		for (unsigned i = 0; i < back; i++)
			destroy(trial, 0);
		for (unsigned i = 0; i < back; i++)
			create(trial, 0);
	}
	check(trial, 5, "a flow", amount);
}

static void test_pool(bool has_batches)
{
	static struct trial trials[2][9];
	/* Flows keep away from the 192 and 384 that just suffice: there a few objects decide. */
	static const unsigned bursts[] = {64, 380, 1024}, flows[] = {64, 300, 1024};
	struct trial *trial = trials[has_batches];

	for (unsigned i = 0; i < 3; i++)
		test_bursts(trial++, has_batches, bursts[i]);
	for (unsigned i = 0; i < 3; i++)
		test_flow(trial++, has_batches, flows[i]);
}

/* One thread only creates, another only destroys. */
struct hand {
	struct trial *trial;
	struct object *object[1024];
};

static void *destroy_all(void *of)
{
	struct hand *hand = of;

	for (unsigned i = 0; i < 1024; i++)
		put_object(&hand->trial->pool, hand->object[i]);
	return NULL;
}

static void test_threads(bool has_batches)
{
	static struct trial trials[2];
	static struct hand hand;
	int64_t estimate, truth;
	pthread_t thread;

	hand.trial = &trials[has_batches];
	begin(hand.trial, has_batches);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 1024; i++) {
			hand.object[i] = get_object(&hand.trial->pool);
			replay_create(&hand.trial->replay, 0);
		}
		pthread_create(&thread, NULL, destroy_all, &hand);
		pthread_join(thread, NULL);
		for (unsigned i = 0; i < 1024; i++)
			replay_destroy(&hand.trial->replay, 1);
		/* What a thread has of its own goes when it ends. */
		hand.trial->replay.destroyed += own_of(&hand.trial->replay, 1);
		hand.trial->replay.own[1] = hand.trial->replay.batches[1] = 0;
	}
	get_calls(hand.trial, &estimate, &truth);
	tap_ok(llabs(estimate - truth) * 100 <= 2 * truth,
	        "stock: what one thread creates and others destroy, which end, costs %s what it would",
	        has_batches ? "batches" : "lists");
	printf("# %lld, in truth %lld\n", (long long)estimate, (long long)truth);
}

/* A pool that makes more than the program's own would have made saves nothing. */
static void test_less(void)
{
	static struct trial trial;
	struct pool_stats stats;

	begin(&trial, false);
	trial.pool.max_batches = 0;
	for (unsigned burst = 0; burst < 100; burst++) {
		while (live < 128)
			create(&trial, 0);
		while (live > 0)
			destroy(&trial, 0);
	}
	pool_read(&trial.pool, &stats);
	tap_ok(stats.create_new > 1000 && stats.calls_saved < 36,
	        "stock: where more is made than would be, nothing is saved");
	trial.pool.max_batches = 1000;
	for (unsigned burst = 0; burst < 400; burst++) {
		while (live < 1024)
			create(&trial, 0);
		while (live > 0)
			destroy(&trial, 0);
	}
	pool_read(&trial.pool, &stats);
	uint64_t before = stats.calls_saved;
	tap_ok(before > 100000, "stock: until it is made good");
	pool_relieve(true);
	pool_read(&trial.pool, &stats);
	tap_ok(stats.trimmed > 900 && stats.calls_saved == before,
	        "stock: what is given back does not make it less");
	pool_fork_prepare();
	pool_fork_parent();
	pool_fork_child();
	pool_read(&trial.pool, &stats);
	tap_is(stats.calls_saved, 0, "stock: a fork's child has saved nothing yet");
}

/* Bursts of all sizes, and threads that end with something left in their own part. */
static void *burst(void *of)
{
	struct pool *pool = of;
	struct object *own[300];

	for (unsigned round = 0; round < 200; round++) {
		unsigned count = 1 + round * 37 % 300;

		for (unsigned i = 0; i < count; i++)
			own[i] = get_object(pool);
		for (unsigned i = 0; i < count; i++)
			put_object(pool, own[i]);
	}
	return NULL;
}

static void test_readers(bool has_batches)
{
	static struct trial trials[2];
	struct trial *trial = &trials[has_batches];
	pthread_t thread[16];
	struct pool_stats stats;
	uint64_t before = 0;
	bool is_rising = true;

	begin(trial, has_batches);
	for (unsigned i = 0; i < 16; i++)
		pthread_create(&thread[i], NULL, burst, &trial->pool);
	for (unsigned i = 0; i < 1000; i++) {
		pool_read(&trial->pool, &stats);
		is_rising &= stats.calls_saved >= before;
		before = stats.calls_saved;
	}
	for (unsigned i = 0; i < 16; i++)
		pthread_join(thread[i], NULL);
	pool_read(&trial->pool, &stats);
	tap_ok(is_rising && stats.calls_saved >= before && is_balanced(&trial->pool, 0),
	        "stock: while threads meet on %s, what was saved only grows",
	        has_batches ? "batches" : "lists");
	tap_ok(atomic_load(&trial->stock.shared) >= 0 &&
	                atomic_load(&trial->stock.shared) <= 16 * 2 * (int)trial->stock.batch,
	        "stock: and none of what they share is lost, or there twice");
	printf("# %llu saved, %d shared\n", (unsigned long long)stats.calls_saved,
	        atomic_load(&trial->stock.shared));
}

/*
 * A take that opened its cache and has not counted yet, when a handler left it, or a fork's child lost its thread: the
 * cache counts one put less than there were.
 */
static void test_left(bool has_batches)
{
	struct stock stock = stock_of(has_batches);
	struct pool_kind kind = {.stock = &stock};
	struct pool pool = {.kind = &kind};
	struct cache cache = {
	        .counters = {.taken = 115, .create_depot = 1}, .own = {.taken = 100, .put = 100}};

	stock_catch_up(&pool, &cache, 0);
	tap_is(cache.counters.calls_saved, 15 * MAKE_CALLS,
	        "stock: a take that was left in the middle costs %s a put, and nothing else",
	        has_batches ? "batches" : "lists");
}

int main(void)
{
	alarm(50); /* what is wrong may not end */
	pools_init(1000, wake);
	for (unsigned way = 0; way < 2; way++) {
		test_runs(way, 1);
		test_runs(way, 400);
		test_pairs(way, 0, 0);
		test_pairs(way, 30, 0);
		if (way == 0)
			test_pairs(way, 30, 20);
		test_pairs(way, 10, 128);
		test_pool(way);
		test_threads(way);
		test_readers(way);
		test_left(way);
	}
	test_less();
	return tap_done();
}
