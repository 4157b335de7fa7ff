/* SPDX-License-Identifier: MIT */
/*
 * The threads that have caches. Each gets a block with one cache for each pool, from tables that are never unmapped: the
 * statistics thread reads them without synchronization. A block keeps its counters when its thread ends, and a later
 * thread gets it. The tables are global because thread-local storage is; only this module has thread-local variables.
 *
 *	thread_self --> block of this thread		after its first use of a pool
 *	            --> thread_closed			before that, and after the thread's end: every `top`
 *							is CACHE_NONE, so the fast path needs no test
 */
#ifndef COPOOL_POOL_THREAD_H
#define COPOOL_POOL_THREAD_H

#include "pool/cache.h"
#include "system/bounds.h"

struct thread {
	_Atomic uint32_t inside; /* its word for the gate: in how many slow paths it is now */
	_Atomic uint16_t index;  /* of the block in the tables, from 1; never changes */
	_Atomic bool in_use;     /* a living thread has it */
	struct cache cache[POOL_MAX];
};

extern __thread struct thread *thread_self __attribute__((tls_model("initial-exec")));

/* What thread_self is until the first slow path, and again after the thread's end. */
extern struct thread thread_closed;

struct thread_events {
	/* Empties the caches of a thread at its end; or, not is_own, in a fork's child that does not have it. */
	void (*retire)(struct thread *thread, bool is_own);
	void (*first_use)(void); /* a thread got its block, or uses it first after a fork */
};

/*
 * Called once, before all others; `events` must stay valid. Returns 0; or -errno if there is no key left for the end of
 * threads: then no thread gets a cache.
 */
int thread_init(const struct thread_events *events);

/*
 * Returns the calling thread's block, and gets it one if need be. Returns NULL if the thread has ended, if there is no
 * memory, or while a fork is under way: then the caller must do without a cache. May map memory; errno survives.
 */
struct thread *thread_current(void);

/* The block that a pool's cache is part of. A signal handler may have changed thread_self since the cache was closed. */
static inline struct thread *thread_of_cache(struct cache *cache, unsigned index)
{
	return (struct thread *)((char *)(cache - index) - offsetof(struct thread, cache));
}

/* Every block that was ever used, in turn: the first for NULL, and NULL after the last. Any thread. */
struct thread *thread_next(const struct thread *after);

/* Where the blocks lie: block i is the (i % in_chunk)th of chunk i / in_chunk, at its beginning. */
struct thread_table {
	const void *chunk;              /* an array of their addresses, NULL where there is none yet */
	const _Atomic unsigned *blocks; /* 1 .. blocks are or were in use */
	unsigned in_chunk;
};

struct thread_table thread_table(void);

/* Whether it is the calling thread's block: also before its first use after a fork, and until its caches are empty at its end. */
bool thread_is_own(const struct thread *thread);

/*
 * In a fork's child: retires and frees all blocks but the caller's. The caller keeps its block, and its next create or
 * destroy counts as its first use.
 */
void thread_adopt(void);

#endif
