/* SPDX-License-Identifier: MIT */
/*
 * A pool of idle objects of one kind, for any number of threads. It does not know what the objects are.
 *
 *	        pool_get                                    pool_put
 *	           |                                           |
 *	  +--------v---- this thread's cache, 32 slots --------v-------+	fast_path.h, cache.h
 *	  +--------^-------------------------------------------+-------+
 *	     a batch of 16 when empty                 a batch of 16 when full	slow_path.c
 *	  +--------+---- the depot: full batches --------------v-------+	depot.h, transfer.h, lifo.h
 *	  +--------+---------------------------------------------------+
 *	     kind->make when empty               kind->destroy when at its cap
 *
 * Here is what an adapter needs to start a pool, and the table of pools. Other readers:
 *
 *	fast_path.h	get and put objects
 *	tally.h		make and destroy them past the pool; be told of all
 *	upkeep.h	start, and what the statistics thread does: trim, obey, relieve
 *	stats.h		read the counters
 *	control.h	settings that may be changed from outside of the process while the program runs
 *	fork.h		before and after fork
 *
 * The adapter owns the struct pool, which must exist as long as the process. Any thread may get and put, also in signal
 * handlers, as far as the kind's own functions may be called there.
 */
#ifndef COPOOL_POOL_POOL_H
#define COPOOL_POOL_POOL_H

#include "pool/leaving.h"
#include "pool/remainder.h"
#include "pool/thread.h"
#include "pool/trim.h"

enum { POOL_OBJECT_MAPS = 2 }; /* memory maps that a stack and its guard page take */

struct arena_class;

/* What the adapter does. `make` and `destroy` are called with no lock of ours held, and may use another kind's pool. */
struct pool_kind {
	const char *name;           /* in the log; must exist as long as the process */
	void *(*make)(void *owner); /* NULL: it failed, with errno as the program's caller expects */
	void (*destroy)(void *owner, void *object); /* any thread, also one that never made an object */
	/* After destroy, if trimming and not the program gave the object back; NULL: nothing. May be slow. */
	void (*given_back)(void *owner, void *object);
	unsigned make_calls, destroy_calls; /* system calls in each that a hit saves, for the log */
	struct stock
	        *stock; /* the program's own pool, which this one replaces: it counts those calls instead */
	unsigned object_maps; /* memory maps that an object takes … */
	size_t object_bytes;  /* … and addresses, for the cap; 0: none, or bounded elsewhere */
	const _Atomic uint64_t *maps_saved; /* memory maps saved just now, for the log; NULL: none */
	bool is_observed;                   /* the pool only counts: see tally.h */
	bool is_part;                       /* its objects are parts of another pool's: see tally.h */
	struct arena_class *stacks; /* if the objects are stacks of ours, for the log; NULL: they are not */
	const char *owner_name;     /* for the log: whose objects they are; NULL: it is not known … */
	const char *part_of;        /* … and the pool of whose objects they are parts; NULL: of none */
};

struct pool {
	const struct pool_kind *kind; /* written by pool_start, as the next three */
	void *owner;                  /* passed to the kind's functions; the adapter's */
	unsigned index;               /* in the table of pools, and of its cache in every thread's block */
	unsigned max_batches;         /* cap on the depot; see control_limit */

	struct depot depot;
	struct remainder remainder;
	struct leaving leaving;

	/* Events off the fast path; written by any thread. Names as in the log. */
	_Atomic uint64_t create_new, destroy_delete, trimmed;
	_Atomic uint64_t loose_create, loose_destroy; /* served without a cache; count as _depot */
	_Atomic uint64_t loose_retries;
	_Atomic int64_t objects; /* that exist, live or idle */
	_Atomic int64_t peak_objects, peak_live;
	_Atomic uint32_t doubts, passed; /* see doubt.h, as the next */
	_Atomic bool is_withdrawn;
	_Atomic int64_t inherited;                 /* live at the fork that began this process */
	_Atomic int64_t create_seen, destroy_seen; /* the most that pool_read has returned of _local */
	_Atomic uint64_t calls_saved; /* besides what caches count, less what was spent; mod 2^64 */
	_Atomic int64_t calls_seen;   /* as create_seen */

	struct trim trim; /* the statistics thread's */
};

/* How many batches of such objects the limits allow that the process began with; see limits_batches. */
unsigned pool_cap_bearable(unsigned object_maps, size_t object_bytes);

/*
 * Starts a zeroed pool, after pools_init. `max_batches`: cap on the depot, or BATCHES_DERIVED: what pool_cap_bearable
 * returns. Returns its index, counted from 0 in the order of calls; -ENOSPC after POOL_MAX pools; or -EAGAIN while a
 * fork is under way. One caller at a time.
 */
int pool_start(struct pool *pool, const struct pool_kind *kind, void *owner, unsigned max_batches);

/* Undoes the last pool_start. The pool must be unused, and the process must have one thread. */
void pool_unstart(struct pool *pool);

/* How many pools have been started, and each of them. Any thread. */
unsigned pool_count(void);
struct pool *pool_at(unsigned index);
const char *pool_name(const struct pool *pool);

/* Whether a pool that has been started has this name. */
bool pool_is_named(const char *name);

/*
 * Changes `name`, in a buffer of `bytes`, until no started pool has it: appends " #2", or the next free number, in
 * place of its end if need be. A reader of the log would take two pools of one name for one. The caller must be the one
 * that starts pools now.
 */
void pool_make_unique(char *name, size_t bytes);

/* Where the pools are, for a reader outside of the process. */
struct pool_table {
	struct pool *const *pool;      /* POOL_MAX of them … */
	const _Atomic unsigned *count; /* … and how many have been started */
};

struct pool_table pool_table(void);

/* For pools_init, before any pool is started; `wake` as there. */
void pool_table_init(void (*wake)(void));

/* Calls `wake`. */
void pool_wake(void);

#endif
