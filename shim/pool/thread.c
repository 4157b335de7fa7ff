/* SPDX-License-Identifier: MIT */
/*
 * Blocks of threads: handed out, given back, inherited. `registry.free` holds blocks without a thread;
 * `registry.blocks` counts those ever made, and nothing unmaps one.
 */
#include "pool/thread.h"

#include "libc/real.h"
#include "pool/gate.h"

#include <errno.h>
#include <pthread.h>

enum { THREAD_CHUNK = 64, THREAD_CHUNKS = (LIFO_MAX_INDEX + 1) / THREAD_CHUNK };

struct thread_chunk {
	struct thread thread[THREAD_CHUNK];
	_Atomic uint16_t next[THREAD_CHUNK];
};

#define CLOSED_CACHE                                                                                         \
	{                                                                                                    \
		.top = CACHE_NONE                                                                            \
	}

struct thread thread_closed = {.cache = {[0 ... POOL_MAX - 1] = CLOSED_CACHE}};

__thread struct thread *thread_self = &thread_closed;

/* The calling thread's block, also while thread_self is not it; NULL if it has none, or once its caches are empty. */
static __thread struct thread *own;

/* Where the calling thread is between its first slow path and its end. */
static __thread enum { THREAD_NEW, THREAD_REGISTERING, THREAD_ENDED } state;

static struct {
	const struct thread_events *events; /* written by thread_init */
	pthread_key_t key;                  /* value: the thread's block */
	struct lifo free;
	_Atomic unsigned blocks;
	struct thread_chunk *_Atomic chunk[THREAD_CHUNKS]; /* set once, never cleared */
} registry;

static struct thread_chunk *chunk_of(uint16_t index)
{
	/* [registry.chunk] acquire: pairs with the release in chunk_map. */
	return atomic_load_explicit(&registry.chunk[index / THREAD_CHUNK], memory_order_acquire);
}

static struct thread *thread_of(uint16_t index)
{
	return &chunk_of(index)->thread[index % THREAD_CHUNK];
}

static uint16_t thread_index(const struct thread *thread)
{
	/* [thread.index] relaxed: written before registry.blocks, by which the caller has found the block. */
	return atomic_load_explicit((_Atomic uint16_t *)&thread->index, memory_order_relaxed);
}

static _Atomic uint16_t *next_of(void *table, uint16_t index)
{
	(void)table;
	return &chunk_of(index)->next[index % THREAD_CHUNK];
}

static bool chunk_map(uint16_t index)
{
	struct thread_chunk *chunk, *expected = NULL;

	if (chunk_of(index) != NULL)
		return true;
	chunk = real_table(sizeof *chunk);
	if (chunk == NULL)
		return false;
	/* [registry.chunk] release: publishes the zeroed blocks to chunk_of. */
	if (!atomic_compare_exchange_strong_explicit(&registry.chunk[index / THREAD_CHUNK], &expected, chunk,
	            memory_order_release, memory_order_relaxed))
		real_table_free(chunk, sizeof *chunk);
	return true;
}

/* Returns a block that was never used, or LIFO_NONE if there is no memory. */
static uint16_t block_make(void)
{
	/* [registry.blocks] relaxed: hands out numbers. */
	unsigned used = atomic_load_explicit(&registry.blocks, memory_order_relaxed);

	do {
		if (used >= LIFO_MAX_INDEX || !chunk_map(used + 1))
			return LIFO_NONE;
		/*
		 * Not for a whole chunk at once: that would touch a page of each block, used or not.
		 * [thread.index] relaxed: any thread here writes the same; published by the next.
		 */
		atomic_store_explicit(&thread_of(used + 1)->index, used + 1, memory_order_relaxed);
		/* [registry.blocks] release: the chunk is mapped, and the block's number there; pairs with the acquire
		 * in thread_next. */
	} while (!atomic_compare_exchange_weak_explicit(
	        &registry.blocks, &used, used + 1, memory_order_release, memory_order_relaxed));
	return used + 1;
}

/* Returns a block whose caches are empty, NULL if there is no memory. */
static struct thread *block_get(void)
{
	_Atomic uint64_t retries = 0;
	unsigned depth;
	uint16_t index = lifo_pop(&registry.free, next_of, NULL, &depth, NULL, &retries);
	struct thread *thread;

	if (index == LIFO_NONE)
		index = block_make();
	if (index == LIFO_NONE)
		return NULL;
	thread = thread_of(index);
	/* First: if a handler forks here, the child frees blocks in use that are not its own. */
	own = thread;
	/* [thread.in_use] relaxed: a statistic. */
	atomic_store_explicit(&thread->in_use, true, memory_order_relaxed);
	return thread;
}

/* Empties a block that its thread uses no more, and frees it. */
static void block_retire(struct thread *thread, bool is_own)
{
	_Atomic uint64_t retries = 0;

	registry.events->retire(thread, is_own);
	/* [thread.in_use] relaxed: a statistic. */
	atomic_store_explicit(&thread->in_use, false, memory_order_relaxed);
	if (is_own)
		own = NULL; /* before another thread can get it */
	/* Not barred by the gate: a fork finds the block either in use or free, and both are right. */
	lifo_push(&registry.free, next_of, NULL, thread_index(thread), LIFO_MAX_INDEX, NULL, &retries);
}

/* The key's destructor. The program's destructors that run later do without a cache. */
static void thread_end(void *value)
{
	struct thread *thread = value;

	state = THREAD_ENDED;
	thread_self = &thread_closed;
	/* [gate.inside] release: as in gate_step_out. A thread that left a slow path by siglongjmp is not inside. */
	atomic_store_explicit(&thread->inside, 0, memory_order_release);
	block_retire(thread, true);
}

int thread_init(const struct thread_events *events)
{
	registry.events = events;
	return -pthread_key_create(&registry.key, thread_end);
}

static struct thread *thread_register(void)
{
	struct thread *thread = own;

	if (thread != NULL)
		return thread; /* kept over a fork */
	if (!gate_enter(NULL))
		return NULL;
	thread = block_get();
	gate_leave(NULL);
	if (thread != NULL && pthread_setspecific(registry.key, thread) != 0) {
		block_retire(thread, true);
		thread = NULL;
	}
	return thread;
}

struct thread *thread_current(void)
{
	struct thread *thread = thread_self;
	int saved = errno;

	if (thread != &thread_closed)
		return thread;
	/* THREAD_REGISTERING: a signal handler, or an allocation by libc within the registration, led here. */
	if (state != THREAD_NEW || registry.events == NULL)
		return NULL;
	state = THREAD_REGISTERING;
	thread = thread_register();
	if (thread != NULL) {
		thread_self = thread;
		registry.events->first_use();
	}
	state = THREAD_NEW;
	errno = saved;
	return thread;
}

struct thread *thread_next(const struct thread *after)
{
	unsigned index = after != NULL ? thread_index(after) + 1u : 1;

	/* [registry.blocks] acquire: pairs with block_make. */
	if (index > atomic_load_explicit(&registry.blocks, memory_order_acquire))
		return NULL;
	return thread_of(index);
}

struct thread_table thread_table(void)
{
	return (struct thread_table){registry.chunk, &registry.blocks, THREAD_CHUNK};
}

bool thread_is_own(const struct thread *thread)
{
	return thread == own;
}

void thread_adopt(void)
{
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t)) {
		/* [thread.in_use] relaxed: the child has one thread. */
		if (!thread_is_own(t) && atomic_load_explicit(&t->in_use, memory_order_relaxed))
			block_retire(t, false);
	}
	thread_self = &thread_closed;
}
