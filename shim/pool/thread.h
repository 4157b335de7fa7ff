/* SPDX-License-Identifier: MIT */
/*
 * The threads that have caches. Each gets a block, one cache a pool, from tables that are never unmapped: the
 * statistics thread reads them without asking, and a block outlives its thread with its counters, to be
 * inherited by a later one. The state here is one per process because thread-local storage is; this is the
 * only file of pool/ with either.
 *
 *	thread_self --> block of this thread		registered: take and put stay in the cache
 *	            --> thread_closed			not yet, or no more: every `top` is CACHE_NONE,
 *							so the fast path needs no test of its own
 */
#ifndef COPOOL_POOL_THREAD_H
#define COPOOL_POOL_THREAD_H

#include "pool/cache.h"
#include "system/bounds.h"

struct thread {
	_Atomic uint32_t inside; /* gate.h: in a slow path now */
	_Atomic uint16_t index;  /* its own in the tables, from 1; never changes once it is there */
	_Atomic bool in_use;     /* a living thread has it */
	struct cache cache[POOL_MAX];
};

extern __thread struct thread *thread_self __attribute__((tls_model("initial-exec")));

/* What thread_self is until the first slow path, and again after the thread's end. */
extern struct thread thread_closed;

struct thread_events {
	/* Empties the caches of a thread that has ended, in itself or, not is_own, by a fork. */
	void (*retire)(struct thread *thread, bool is_own);
	void (*first_use)(void); /* a thread got its block, or uses it for the first time after fork */
};

/*
 * Called once before any other; `events` must stay valid. Returns 0, or -errno when no key for the end of
 * threads is left: every thread then stays without a cache.
 */
int thread_init(const struct thread_events *events);

/*
 * The calling thread's block, registered if need be; NULL when the thread has ended, when there is no memory,
 * or while a fork is under way: then the caller goes on without a cache. May map memory; errno survives.
 */
struct thread *thread_current(void);

/* The block that a pool's cache is part of: thread_self may be another one by now. */
static inline struct thread *thread_of_cache(struct cache *cache, unsigned index)
{
	return (struct thread *)((char *)(cache - index) - offsetof(struct thread, cache));
}

/* Every block there ever was, first with `after` NULL, until NULL. For any thread. */
struct thread *thread_next(const struct thread *after);

/* Where the blocks lie: block i is the (i % in_chunk)th of chunk i / in_chunk, at its beginning. */
struct thread_table {
	const void *chunk;              /* an array of their addresses, NULL where there is none yet */
	const _Atomic unsigned *blocks; /* 1 .. blocks are or were in use */
	unsigned in_chunk;
};

struct thread_table thread_table(void);

/* Whether it is the calling thread's; also before its first use after a fork, and until it is empty at its end. */
bool thread_is_own(const struct thread *thread);

/*
 * In a fork's child: every block but the caller's own has lost its thread. Retires and frees them; the caller
 * keeps its block, and its next create or destroy counts as its first use.
 */
void thread_adopt(void);

#endif
