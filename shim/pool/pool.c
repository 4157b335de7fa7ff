/*
 * The slow paths of a pool, and the table of pools. A thread is inside the gate while it touches what threads
 * share, and outside of it when it calls the host's functions.
 */
#include "pool/pool.h"

#include "pool/gate.h"
#include "pool/limits.h"
#include "pool/observer.h"
#include "pool/probe.h"
#include "pool/retire.h"
#include "pool/tally.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

static struct {
	void (*wake)(void); /* written by pools_init */
	struct pool *pool[POOL_MAX];
	_Atomic unsigned count; /* written by pool_start, as pool[] */
	struct pool_control control;
	struct limits limits; /* written by pools_init, as the next one */
	uint64_t start_ms;    /* CLOCK_MONOTONIC: where the trimming's clock begins */
	uint32_t emptied;     /* the control's, as last done; the statistics thread's */
} pools;

/* [control] acquire: of what is asked for, the words that were written before `asked`. */
static uint32_t read_control(const _Atomic uint32_t *word)
{
	return atomic_load_explicit((_Atomic uint32_t *)word, memory_order_acquire);
}

/* [control] release: `done` is written when all is; pairs with who reads it from outside. */
static void set_control(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int pools_init(unsigned decay_ms, void (*wake)(void))
{
	static struct thread_events events;

	set_control(&pools.control.decay_ms, decay_ms);
	set_control(&pools.control.max_batches, POOL_CAP_AUTO);
	pools.wake = wake;
	pools.start_ms = now_ms();
	limits_read(&pools.limits, "");
	events.first_use = wake;
	events.retire = retire_thread;
	return observer_sees_all() ? 0 : thread_init(&events);
}

unsigned pool_cap_bearable(unsigned object_maps, size_t object_bytes)
{
	return limits_batches(&pools.limits, object_maps, object_bytes);
}

int pool_start(struct pool *pool, const struct pool_kind *kind, void *owner, unsigned max_batches)
{
	unsigned index = pool_count();

	if (index == POOL_MAX)
		return -ENOSPC;
	/* A fork that has begun interrupts the depots that it knows of. */
	if (!gate_enter(NULL))
		return -EAGAIN;
	pool->kind = kind;
	pool->owner = owner;
	pool->index = index;
	pool->is_cap_fixed = max_batches != POOL_CAP_AUTO;
	pool->max_batches =
	        pool->is_cap_fixed ? max_batches : pool_cap_bearable(kind->object_maps, kind->object_bytes);
	depot_init(&pool->depot);
	pools.pool[index] = pool;
	/* [pools.count] release: publishes the pool; pairs with pool_count. */
	atomic_store_explicit(&pools.count, index + 1, memory_order_release);
	gate_leave(NULL);
	return index;
}

unsigned pool_count(void)
{
	/* [pools.count] acquire: the pools before it; pairs with pool_start. */
	return atomic_load_explicit(&pools.count, memory_order_acquire);
}

struct pool *pool_at(unsigned index)
{
	return pools.pool[index];
}

const char *pool_name(const struct pool *pool)
{
	return pool->kind->name;
}

void pool_hint(struct pool *pool, int change)
{
	/* [pool.hint] relaxed: a number; pairs with pool_limit. */
	atomic_fetch_add_explicit(&pool->hint, change, memory_order_relaxed);
}

struct pool_table pool_table(void)
{
	return (struct pool_table){pools.pool, &pools.count, &pools.control};
}

bool pool_is_asked(void)
{
	return read_control(&pools.control.asked) != read_control(&pools.control.done);
}

unsigned pool_limit(struct pool *pool)
{
	/* [pool.hint] relaxed: a number; pairs with pool_hint. */
	int hint = atomic_load_explicit(&pool->hint, memory_order_relaxed);
	unsigned limit = read_control(&pools.control.max_batches);

	if (read_control(&pools.control.is_off) != 0)
		return 0;
	if (limit == POOL_CAP_AUTO) {
		limit = pool->max_batches;
		if (hint > 0 && !pool->is_cap_fixed)
			limit += ((unsigned)hint + BATCH_SIZE - 1) / BATCH_SIZE;
	}
	return limit < DEPOT_MAX_BATCHES ? limit : DEPOT_MAX_BATCHES;
}

/* [counter] relaxed: a statistic; pairs with pool_read. */
static void count(_Atomic uint64_t *counter, unsigned amount)
{
	if (amount > 0)
		atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* Without a cache: the thread has none, or a signal handler interrupted its own thread's use of it. */
static void *take_loose(struct pool *pool)
{
	_Atomic uint64_t retries = 0;
	void *object = remainder_take(&pool->remainder, &pool->depot, &retries);

	count(&pool->loose_create, object != NULL);
	count(&pool->loose_retries, retries);
	return object;
}

static bool keep_loose(struct pool *pool, void *object)
{
	_Atomic uint64_t retries = 0;
	bool kept = remainder_put(&pool->remainder, &pool->depot, object, pool_limit(pool), &retries);

	count(&pool->loose_destroy, kept);
	count(&pool->loose_retries, retries);
	return kept;
}

/*
 * The calling thread's cache, closed by us, with `*top` objects; NULL when the thread has none, or when a
 * signal handler interrupted its own thread's use of it. `*thread` is what gate_enter wants.
 */
static struct cache *own_cache(struct pool *pool, int64_t *top, struct thread **thread)
{
	*thread = thread_self;
	if (*top <= CACHE_NONE) {
		cache_reopen(&(*thread)->cache[pool->index], *top);
		*thread = thread_current();
		if (*thread == NULL) {
			/* A thread's first use would, where threads have caches. */
			if (observer_sees_all())
				pools.wake();
			return NULL;
		}
		*top = cache_close(&(*thread)->cache[pool->index]);
	}
	if (*top >= 0)
		return &(*thread)->cache[pool->index];
	cache_reopen(&(*thread)->cache[pool->index], *top);
	return NULL;
}

int64_t pool_refill(struct pool *pool, int64_t top)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[pool->index];
	bool is_found;

	if (top != 0)
		return top;
	gate_step_in(thread);
	is_found = depot_pop(&pool->depot, cache->slot, &cache->spares, &cache->counters.depot_retries);
	if (is_found)
		cache_hold(cache, BATCH_SIZE);
	gate_step_out(thread);
	if (!is_found)
		return 0;
	PROBE(refill, pool->kind->name, depot_depth(&pool->depot));
	counter_bump(&cache->counters.create_depot);
	return BATCH_SIZE;
}

/* Moves the older batch to the depot. */
int64_t pool_spill(struct pool *pool, int64_t top)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[pool->index];
	bool is_moved;

	if (top != CACHE_SLOTS)
		return top;
	gate_step_in(thread);
	is_moved = depot_push(
	        &pool->depot, cache->slot, pool_limit(pool), &cache->spares, &cache->counters.depot_retries);
	if (is_moved) {
		memcpy(cache->slot, cache->slot + BATCH_SIZE, sizeof(struct batch));
		cache_hold(cache, BATCH_SIZE);
	}
	gate_step_out(thread);
	if (!is_moved)
		return CACHE_SLOTS;
	PROBE(spill, pool->kind->name, depot_depth(&pool->depot));
	counter_bump(&cache->counters.destroy_depot);
	/* What lies in the depot may be spare one day: the clock of the trimming must run. */
	pools.wake();
	return BATCH_SIZE;
}

/* A few that ended threads have left, before the host must make one. */
static void *take_left(struct pool *pool, struct thread *thread)
{
	void *object;

	if (remainder_count(&pool->remainder) == 0 && depot_depth(&pool->depot) == 0)
		return NULL;
	if (!gate_enter(thread))
		return NULL;
	object = take_loose(pool);
	gate_leave(thread);
	return object;
}

/* Where the depot has no batch, or the cache was closed or there was none at all. */
void *pool_take_rarely(struct pool *pool, int64_t top)
{
	struct thread *thread;
	struct cache *cache = own_cache(pool, &top, &thread);
	void *object;

	if (cache != NULL && top > 0)
		counter_bump(&cache->counters.create_local);
	else if (cache != NULL)
		top = pool_refill(pool, top);
	if (cache != NULL && top > 0)
		return cache_take(cache, top);
	if (cache != NULL)
		cache_open(cache, 0);
	object = take_left(pool, thread);
	observer_tell_taken(pool, object);
	return object;
}

void *pool_get_rarely(struct pool *pool, int64_t top)
{
	void *object = pool_take_rarely(pool, top);

	return object != NULL ? object : pool_make(pool);
}

void *pool_get_slow(struct pool *pool, int64_t top)
{
	top = pool_refill(pool, top);
	return top > 0 ? cache_take(&thread_self->cache[pool->index], top) : pool_get_rarely(pool, top);
}

/* Keeps an object where no cache is at hand. */
static bool keep_left(struct pool *pool, struct thread *thread, void *object)
{
	bool is_kept;

	if (!gate_enter(thread))
		return false;
	is_kept = keep_loose(pool, object);
	gate_leave(thread);
	/* As in spill. */
	if (depot_depth(&pool->depot) > 0)
		pools.wake();
	return is_kept;
}

/* Where the depot takes no batch, or the cache was closed or there was none at all. */
void pool_put_rarely(struct pool *pool, int64_t top, void *object)
{
	struct thread *thread;
	struct cache *cache = own_cache(pool, &top, &thread);

	if (cache != NULL && top < CACHE_SLOTS)
		counter_bump(&cache->counters.destroy_local);
	else if (cache != NULL)
		top = pool_spill(pool, top);
	if (cache != NULL && top < CACHE_SLOTS) {
		cache_put(cache, top, object);
		return;
	}
	if (cache != NULL)
		cache_open(cache, CACHE_SLOTS);
	observer_tell_back(pool, object);
	if (cache != NULL || !keep_left(pool, thread, object))
		pool_destroy(pool, object);
}

void pool_put_slow(struct pool *pool, int64_t top, void *object)
{
	top = pool_spill(pool, top);
	if ((uint64_t)top < CACHE_SLOTS)
		cache_put(&thread_self->cache[pool->index], top, object);
	else
		pool_put_rarely(pool, top, object);
}

void *pool_make(struct pool *pool)
{
	void *object = pool->kind->make(pool->owner);

	if (object != NULL)
		tally_made(pool, object);
	return object;
}

void pool_destroy(struct pool *pool, void *object)
{
	tally_gone(pool, object);
	pool->kind->destroy(pool->owner, object);
}

void pool_give_back(struct pool *pool, void *object)
{
	tally_trimmed(pool);
	pool->kind->destroy(pool->owner, object);
	if (pool->kind->given_back != NULL)
		pool->kind->given_back(pool->owner, object);
}

/* Destroys a batch of idle objects; false when there is none. */
static bool release_batch(struct pool *pool)
{
	void *object[BATCH_SIZE];
	_Atomic uint64_t retries = 0;
	bool found;

	if (!gate_enter(NULL))
		return false;
	/* Inside the gate to the end: a fork between the two would lose the batch in the child. */
	found = depot_pop(&pool->depot, object, NULL, &retries);
	for (unsigned i = 0; found && i < BATCH_SIZE; i++)
		pool_give_back(pool, object[i]);
	gate_leave(NULL);
	count(&pool->loose_retries, retries);
	if (found)
		PROBE(trim, pool->kind->name, BATCH_SIZE);
	return found;
}

/* Gives back what is more than `keep` batches in the depot now. False: a fork came between. */
static bool release_above(struct pool *pool, unsigned keep)
{
	unsigned depth = depot_depth(&pool->depot);

	for (; depth > keep; depth--) {
		if (!release_batch(pool))
			return depot_depth(&pool->depot) <= keep;
	}
	return true;
}

/* Does what is asked for, as far as a pool can know of it; what is not done is done in the next round. */
static void do_asked(void)
{
	uint32_t asked = read_control(&pools.control.asked), emptied = read_control(&pools.control.emptied);
	bool is_done = true;

	for (unsigned i = 0; i < pool_count(); i++) {
		struct pool *pool = pool_at(i);

		is_done &= release_above(pool, emptied != pools.emptied ? 0 : pool_limit(pool));
	}
	if (!is_done)
		return;
	pools.emptied = emptied;
	set_control(&pools.control.done, asked);
}

/* The window of the trimming, whatever has been written there. */
static unsigned window_ms(void)
{
	unsigned decay_ms = read_control(&pools.control.decay_ms);

	return decay_ms == 0 || decay_ms >= TRIM_STEPS ? decay_ms : TRIM_STEPS;
}

/*
 * When to look at the depots again that have something in them, `left_ms` before a step ends: no more often
 * than once a second, unless the steps themselves are shorter.
 */
static unsigned wait_for(uint64_t left_ms)
{
	return left_ms < POOL_ASK_MS ? left_ms : left_ms / (left_ms / POOL_ASK_MS);
}

unsigned pool_trim_tick(void)
{
	uint64_t now = now_ms() - pools.start_ms;
	unsigned wait = UINT_MAX, window = window_ms();

	if (pool_is_asked())
		do_asked();
	for (unsigned i = 0; i < pool_count(); i++) {
		struct pool *pool = pool_at(i);
		unsigned release = window > 0 ? trim_advance(&pool->trim, &pool->depot, window, now) : 0;
		uint64_t left = POOL_ASK_MS;

		while (release > 0 && release_batch(pool))
			release--;
		if (window > 0 && pool->trim.next_ms != 0)
			left = pool->trim.next_ms - now;
		else if (depot_depth(&pool->depot) == 0)
			continue;
		if (wait_for(left) < wait)
			wait = wait_for(left);
	}
	return wait;
}

unsigned pool_trim_patience(void)
{
	unsigned step = window_ms() / TRIM_STEPS;

	return step > 0 && step < POOL_ASK_MS ? step : POOL_ASK_MS;
}

bool pool_has_spare(void)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		if (window_ms() > 0 && depot_depth(&pool_at(i)->depot) > 0)
			return true;
	}
	return false;
}

void pool_relieve(bool is_new)
{
	for (unsigned i = 0; window_ms() > 0 && i < pool_count(); i++) {
		struct pool *pool = pool_at(i);
		unsigned release = trim_hurry(&pool->depot, is_new), depth = depot_depth(&pool->depot);

		release_above(pool, depth > release ? depth - release : 0);
		trim_begin_again(&pool->trim, &pool->depot);
	}
}
