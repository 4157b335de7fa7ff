/* SPDX-License-Identifier: MIT */
/*
 * A pool of idle objects of one kind, for any number of threads; what the objects are it does not know.
 *
 *	        pool_get                                    pool_put
 *	           |                                           |
 *	  +--------v---- this thread's cache, 32 slots --------v-------+	fast path: pool.h
 *	  +--------^-------------------------------------------+-------+
 *	     a batch of 16 when empty                 a batch of 16 when full	slow path: serve.c
 *	  +--------+---- the depot: full batches --------------v-------+
 *	  +--------+---------------------------------------------------+
 *	     kind->make when empty               kind->destroy when at its cap
 *
 * The host owns the struct pool, which must stay for the life of the process. Any thread may get and put,
 * also in signal handlers as far as the kind's own functions may be called there.
 */
#ifndef COPOOL_POOL_POOL_H
#define COPOOL_POOL_POOL_H

#include "pool/leaving.h"
#include "pool/remainder.h"
#include "pool/thread.h"
#include "pool/trim.h"

enum {
	POOL_OBJECT_MAPS = 2, /* memory maps that a stack and its guard page take */
	POOL_ASK_MS = 1000,   /* while something lies in a depot, it is seen to every 1 to 2 times so long */
};

struct arena_class;

/* What the host does. Both run with no lock of ours held and may call the pool of another kind. */
struct pool_kind {
	const char *name;           /* in the log; outlives the process */
	void *(*make)(void *owner); /* NULL: it failed, with errno as the host's caller expects */
	void (*destroy)(void *owner, void *object); /* any thread, also one that never made one */
	/* After destroy, when trimming and not the program gave it back; NULL: nothing. May be slow. */
	void (*given_back)(void *owner, void *object);
	unsigned make_calls, destroy_calls; /* system calls in each that a hit saves, for the log */
	struct stock
	        *stock; /* the host's own pool, whose place this one takes: it counts the calls instead */
	unsigned object_maps; /* memory maps that an object takes … */
	size_t object_bytes;  /* … and addresses, for the cap; 0: none, or bounded elsewhere */
	const _Atomic uint64_t *maps_saved; /* memory maps saved just now, for the log; NULL: none */
	bool is_observed;                   /* the pool only counts: see pool/tally.h */
	bool is_part;                       /* its objects are parts of another pool's: see pool/observer.h */
	struct arena_class
	        *stacks; /* where the objects are stacks of ours, for the log; NULL: they are not */
};

struct pool {
	const struct pool_kind *kind; /* written by pool_start, as the next two */
	void *owner;                  /* handed to the kind's functions; the host's */
	unsigned index;               /* its cache in every thread's block */
	unsigned max_batches;         /* cap on the depot */

	struct depot depot;
	struct remainder remainder;
	struct leaving leaving;

	/* Events off the fast path; written by any thread. Names as in the log. */
	_Atomic uint64_t create_new, destroy_delete, trimmed;
	_Atomic uint64_t loose_create, loose_destroy; /* served without a cache; count as _depot */
	_Atomic uint64_t loose_retries;
	_Atomic int64_t objects; /* that exist, live or idle */
	_Atomic int64_t peak_objects, peak_live;
	_Atomic uint32_t doubts, passed; /* see pool/doubt.h, as the next */
	_Atomic bool is_withdrawn;
	_Atomic int64_t inherited;                 /* live at the fork that began this process */
	_Atomic int64_t create_seen, destroy_seen; /* of _local, by pool_read: what was said stays true */
	_Atomic uint64_t calls_saved; /* where there is a stock, beside what caches count; mod 2^64 */
	_Atomic int64_t calls_seen;   /* as create_seen */

	struct trim trim; /* the statistics thread's */
};

/*
 * Settings that may change while the program runs: words that somebody else writes, from outside of the
 * process, and that are read where they matter. None is trusted to be in its range.
 */
struct pool_control {
	_Atomic uint32_t asked;    /* another value than `done`: something has changed */
	_Atomic uint32_t done;     /* the last `asked` of which all has been done; the statistics thread's */
	_Atomic uint32_t decay_ms; /* 0: never; what pools_init was told, at first */
	_Atomic uint32_t
	        max_batches;      /* of every pool; BATCHES_DERIVED, at first: as each of them was started */
	_Atomic uint32_t is_off;  /* not 0: the depots keep nothing */
	_Atomic uint32_t emptied; /* another value than at the last `done`: the depots are to be emptied */
};

/* Where things are, for who reads them from outside of the process. */
struct pool_table {
	struct pool *const *pool;      /* POOL_MAX of them … */
	const _Atomic unsigned *count; /* … and how many have been started */
	struct pool_control *control;
};

struct pool_table pool_table(void);

/* Whether something is asked for that only pool_trim_tick() can do. Any thread. */
bool pool_is_asked(void);

/* Whether it is switched off from outside: nothing is kept. */
bool pool_is_off(void);

/*
 * Called once, before any pool is started. `wake` is called when the trimming may have to begin, after a
 * sequentially consistent change of a depot, and when a thread uses a pool for the first time, also after a
 * fork: from any thread, from within a create or destroy.
 * `decay_ms`: idle objects that nobody needed for so long are given back; 0 = never. Returns 0 or -errno:
 * then threads have no caches, and all of them share the depot.
 */
int pools_init(unsigned decay_ms, void (*wake)(void));

/*
 * How many batches of such objects the limits bear in which the process began; see limits_batches. After
 * pools_init.
 */
unsigned pool_cap_bearable(unsigned object_maps, size_t object_bytes);

/*
 * Starts a zeroed pool. `max_batches`: cap on the depot, or BATCHES_DERIVED: what pool_cap_bearable says. Returns
 * its index, counted from 0 in the order of calls, -ENOSPC after POOL_MAX, or -EAGAIN while a fork is under way.
 * One caller at a time.
 */
int pool_start(struct pool *pool, const struct pool_kind *kind, void *owner, unsigned max_batches);

/* Undoes the last pool_start: nobody has used that pool. While the process has one thread. */
void pool_unstart(struct pool *pool);

/*
 * The first resort of the three below, which have closed the cache of the calling thread's block, have found `top`,
 * and cannot go on: a batch comes from the depot, or goes to it. They return how many objects the cache, still closed,
 * then holds; `top` when that is not to be had. They leave the last step to the fast path, so that it is always the
 * same instruction that opens the cache: processors guess which store a load will read, and are right then;
 * bench-pools' patterns that go to the depot take a tenth less.
 */
int64_t pool_refill(struct pool *pool, struct thread *thread, int64_t top);
int64_t pool_spill(struct pool *pool, struct thread *thread, int64_t top);

/*
 * The last resort, with the block whose cache was closed, and what those two returned. errno survives but for what
 * kind->make does to it.
 */
void *pool_take_rarely(struct pool *pool, struct thread *thread, int64_t top);
void *pool_get_rarely(struct pool *pool, struct thread *thread, int64_t top);
void pool_put_rarely(struct pool *pool, struct thread *thread, int64_t top, void *object);

/*
 * Keeps an object in the calling thread's own cache, where no other thread can take it; false: the cache cannot
 * have it, and it is the caller's still.
 */
bool pool_keep(struct pool *pool, unsigned index, void *object);

/* One after the other, for code that can only jump to where all is done, with the cache that it has closed. */
void *pool_take_slow(struct pool *pool, struct cache *cache, int64_t top);
void pool_put_slow(struct pool *pool, struct cache *cache, void *object, int64_t top);

/*
 * An idle object, the caller's from then on; NULL when there is none. `index` is the pool's, a constant where
 * the fast path shall be short.
 */
static inline void *pool_take(struct pool *pool, unsigned index)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect(top <= 0, 0) && (top = pool_refill(pool, thread, top)) <= 0)
		return pool_take_rarely(pool, thread, top);
	return cache_take(cache, top);
}

/* An idle object, or else a new one from kind->make, or NULL with its errno. */
static inline void *pool_get(struct pool *pool, unsigned index)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect(top <= 0, 0) && (top = pool_refill(pool, thread, top)) <= 0)
		return pool_get_rarely(pool, thread, top);
	return cache_take(cache, top);
}

/* Gives an object to the pool: it stays idle in it, or is destroyed. */
static inline void pool_put(struct pool *pool, unsigned index, void *object)
{
	struct thread *thread = thread_self;
	struct cache *cache = &thread->cache[index];
	int64_t top = cache_close(cache);

	if (__builtin_expect((uint64_t)top >= CACHE_SLOTS, 0) &&
	        (uint64_t)(top = pool_spill(pool, thread, top)) >= CACHE_SLOTS) {
		pool_put_rarely(pool, thread, top, object);
		return;
	}
	cache_put(cache, top, object);
}

/* Makes an object, or destroys a live one, by the host's own functions; counted. */
void *pool_make(struct pool *pool);
void pool_destroy(struct pool *pool, void *object);

/* The host answered a system call of the program's without making it. */
static inline void pool_count_saved(unsigned index)
{
	counter_bump(&thread_self->cache[index].counters.calls_saved);
}

/* How many pools have been started, and each of them. Any thread. */
unsigned pool_count(void);
struct pool *pool_at(unsigned index);
const char *pool_name(const struct pool *pool);

/* Whether a pool that has been started is called so. */
bool pool_is_named(const char *name);

/*
 * Makes `name`, in a buffer of `bytes`, that of no pool that has been started: adds " #2", or the next number that
 * is free, in place of its end if need be. Pools of one process that are called alike would be one to whoever reads
 * the log. The caller is the one that starts pools now.
 */
void pool_make_unique(char *name, size_t bytes);

/*
 * Adds the counters up. Any thread; exact when all others are at rest. Also keeps peak_live. All are 0 for a pool
 * that was withdrawn.
 */
void pool_read(struct pool *pool, struct pool_stats *stats);

/* From now on depot_low and depot_high are anew what the depot falls and rises to. Who writes the samples. */
void pool_restart_sample(struct pool *pool);

/* As pool_destroy, for an idle object that is given back to the system: counts as trimmed. */
void pool_give_back(struct pool *pool, void *object);

/* Calls what pools_init was told to call. */
void pool_wake(void);

/* How many batches the depot may hold now. */
unsigned pool_limit(struct pool *pool);

/*
 * Does the trimming that is due on all pools. Returns the milliseconds until it wants to be called again,
 * UINT_MAX when not before the next `wake`. One thread.
 */
unsigned pool_trim_tick(void);

/* By how many milliseconds such a call may come late, where that saves waking up twice. */
unsigned pool_trim_patience(void);

/* Whether pool_trim_tick would give anything back, sooner or later. */
bool pool_has_spare(void);

/*
 * Memory is short: gives back all that lies in the depots; or, when that is not new, what nobody needed since
 * the last call. One thread, the same.
 */
void pool_relieve(bool is_new);

/*
 * Around fork: in the parent before it, in the parent after it, in the child after it. The child takes over
 * what all threads held; its counters begin anew.
 */
void pool_fork_prepare(void);
void pool_fork_parent(void);
void pool_fork_child(void);

#endif
