/* SPDX-License-Identifier: MIT */
/*
 * A signal handler between its own thread's read and write of these words makes the estimate wrong by a few objects; it does
 * no other harm.
 */
#include "pool/stock.h"

#include "pool/pool.h"
#include "pool/tally.h"

static unsigned least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

/* ---- playing ---- */

/* Fills an empty own list from what lies there for all. Returns false if that is not enough. */
static bool fetch(struct stock_run *run)
{
	unsigned batch = run->stock->batch;

	if (run->stock->way == STOCK_LISTS) {
		if (run->shared <= batch)
			return false;
		batch = run->shared;
	} else if (run->shared < batch) {
		return false;
	}
	run->idle = batch;
	run->shared -= batch;
	return true;
}

static void play_creates(struct stock_run *run, uint64_t count)
{
	while (count > 0 && (run->idle > 0 || fetch(run))) {
		unsigned served = least(count, run->idle);

		run->idle -= served;
		count -= served;
	}
	run->made += count;
}

/* Adds up to `most` of `count` objects to `*idle`. Returns how many are left. */
static uint64_t keep(unsigned *idle, unsigned most, uint64_t count)
{
	unsigned kept = *idle < most ? least(count, most - *idle) : 0;

	*idle += kept;
	return count - kept;
}

static void play_destroys(struct stock_run *run, uint64_t count)
{
	unsigned batch = run->stock->batch;

	if (run->stock->way == STOCK_LISTS) {
		count = keep(&run->shared, 2 * run->size, count);
		run->destroyed += keep(&run->idle, run->size, count);
		return;
	}
	while ((count = keep(&run->idle, 2 * batch, count)) > 0) {
		if (run->shared < run->size)
			run->shared += batch;
		else
			run->destroyed += batch;
		run->idle -= batch;
	}
}

/*
 * Destroys that are each followed by a create. Once a thread's own list, when it is empty, can be filled again, all
 * further pairs are served. That takes at most as many pairs as a few batches have objects.
 */
static void play_pairs(struct stock_run *run, uint64_t count)
{
	bool is_steady;

	count = least(count, 4 * run->stock->batch);
	do {
		if (count-- == 0)
			return;
		is_steady = run->stock->way == STOCK_BATCHES || run->idle + run->shared >= run->stock->batch;
		play_destroys(run, 1);
		play_creates(run, 1);
	} while (!is_steady);
}

void stock_play(
        struct stock_run *run, uint64_t creates, uint64_t destroys, unsigned swing, bool is_create_last)
{
	uint64_t fewer = creates < destroys ? creates : destroys;

	if (fewer > swing) {
		play_pairs(run, fewer - swing);
		creates -= fewer - swing;
		destroys -= fewer - swing;
	}
	if (is_create_last)
		play_destroys(run, destroys);
	play_creates(run, creates);
	if (!is_create_last)
		play_destroys(run, destroys);
}

/* ---- what is to be played ---- */

/* [stock] relaxed in all of these: an estimate; values of another thread may be old. */
static uint64_t read_word(const _Atomic uint64_t *word)
{
	return atomic_load_explicit((_Atomic uint64_t *)word, memory_order_relaxed);
}

static void set_word(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static unsigned read_idle(const struct stock_own *own)
{
	return atomic_load_explicit((_Atomic unsigned *)&own->idle, memory_order_relaxed);
}

static void set_idle(struct stock_own *own, unsigned idle)
{
	atomic_store_explicit(&own->idle, idle, memory_order_relaxed);
}

static struct stock_run begin(const struct pool *pool, unsigned idle)
{
	const struct stock *stock = pool->kind->stock;
	int shared = atomic_load_explicit((_Atomic int *)&stock->shared, memory_order_relaxed);
	/* [stock] relaxed: a number that the program may change at any time. */
	unsigned size = atomic_load_explicit((_Atomic unsigned *)stock->size, memory_order_relaxed);

	return (struct stock_run){
	        .stock = stock,
	        .size = least(size, stock->most),
	        .idle = idle,
	        .shared = shared > 0 ? (unsigned)shared : 0,
	};
}

/* Refills and spills that had something to move. */
static uint64_t moved(const struct cache *cache)
{
	return read_word(&cache->counters.create_depot) + read_word(&cache->counters.destroy_depot);
}

/* By how much the cache may have swung since it was last played. */
static unsigned swing(const struct cache *cache)
{
	return moved(cache) != read_word(&cache->own.moved) ? CACHE_SLOTS : 0;
}

static uint64_t calls(const struct stock_run *run)
{
	return run->made * run->stock->make_calls + run->destroyed * run->stock->destroy_calls;
}

/* Adds what the list for all has gained or lost since it had `shared` objects. */
static void change_shared(struct pool *pool, const struct stock_run *run, unsigned shared)
{
	/* [stock] relaxed: as above. By addition, so that other threads' changes are not lost. */
	if (run->shared != shared)
		atomic_fetch_add_explicit(
		        &pool->kind->stock->shared, (int)(run->shared - shared), memory_order_relaxed);
}

/* All inlined: a thread that swings by more than its cache holds comes here each time. */
__attribute__((flatten)) void stock_catch_up(struct pool *pool, struct cache *cache, unsigned top)
{
	struct counters *counters = &cache->counters;
	struct stock_own *own = &cache->own;
	uint64_t taken = read_word(&counters->taken), refills = read_word(&counters->create_depot);
	uint64_t put = taken + top + read_word(&counters->left) +
	               BATCH_SIZE * (read_word(&counters->destroy_depot) - refills);
	uint64_t creates = taken - read_word(&own->taken), destroys = put - read_word(&own->put);
	struct stock_run run = begin(pool, read_idle(own));
	unsigned shared = run.shared;

	/* A take that a handler has left, or whose thread a fork's child does not have, may miss in `taken`. */
	if ((int64_t)destroys < 0)
		destroys = 0;
	stock_play(&run, creates, destroys, swing(cache), top == 0);
	set_idle(own, run.idle);
	change_shared(pool, &run, shared);
	set_word(&own->taken, taken);
	set_word(&own->put, put);
	set_word(&own->moved, moved(cache));
	counter_add(&counters->calls_saved, (unsigned)calls(&run));
}

/* A thread without a cache has no own list, and the pool counts for it. */
static void play_one(struct pool *pool, bool is_create)
{
	struct thread *thread = thread_self;
	struct stock_own *own = thread != &thread_closed ? &thread->cache[pool->index].own : NULL;
	struct stock_run run = begin(pool, own != NULL ? read_idle(own) : 0);
	unsigned shared = run.shared;

	stock_play(&run, is_create, !is_create, 0, false);
	if (own != NULL)
		set_idle(own, run.idle);
	else
		run.shared += run.idle;
	change_shared(pool, &run, shared);
	tally_saved(pool, calls(&run));
}

void stock_create(struct pool *pool)
{
	play_one(pool, true);
}

void stock_destroy(struct pool *pool)
{
	play_one(pool, false);
}

void stock_end(struct pool *pool, struct cache *cache, bool is_own)
{
	stock_catch_up(pool, cache, 0);
	if (is_own)
		tally_saved(pool, (uint64_t)read_idle(&cache->own) * pool->kind->stock->destroy_calls);
	set_idle(&cache->own, 0);
}

uint64_t stock_pending(const struct pool *pool, const struct cache *cache, uint64_t taken, uint64_t put)
{
	int64_t creates = (int64_t)(taken - read_word(&cache->own.taken));
	int64_t destroys = (int64_t)(put - read_word(&cache->own.put));
	struct stock_run run = begin(pool, read_idle(&cache->own));

	/* Its thread has played them since. */
	if (creates < 0 || destroys < 0)
		return 0;
	/* [stock] relaxed: as above. */
	stock_play(&run, creates, destroys, swing(cache),
	        atomic_load_explicit((_Atomic int *)&cache->own.events, memory_order_relaxed) < 0);
	return calls(&run);
}
