/* SPDX-License-Identifier: MIT */
/*
 * The depot: the lock-free stack of full batches that all threads share, and the stack of empty batch nodes behind it.
 * Any thread; through the gate, so that fork finds it at rest.
 *
 *	cache ---push--> | full  | ---pop--> cache	16 pointers are copied; objects are not linked
 *	     node <----- | empty | <----- node
 *
 * Batches on it are always full. Nodes lie in chunks that are mapped on demand and never unmapped, so that a slow thread
 * may still read a node's `next`. transfer.h is the second header of this module, with what runs inlined in refills and
 * spills; depot.c includes both.
 */
#ifndef COPOOL_POOL_DEPOT_H
#define COPOOL_POOL_DEPOT_H

#include "pool/lifo.h"

#include <stddef.h>

enum {
	BATCH_SIZE = 16,
	DEPOT_MAX_BATCHES = LIFO_MAX_INDEX,
	DEPOT_CHUNK_NODES = 256,
	DEPOT_CHUNKS = (DEPOT_MAX_BATCHES + 1) / DEPOT_CHUNK_NODES,
	DEPOT_LINES = 8, /* cache lines that the `next` of a chunk's nodes take */
	DEPOT_SPARES = 16,
	DEPOT_BUNDLE = DEPOT_SPARES / 2, /* spares that come and go at once */
};

/* In a node on the empty stack: further empty nodes that come with it. */
struct bundle {
	uint16_t count;
	uint16_t node[DEPOT_SPARES - 1];
};

/* Exactly BATCH_SIZE pointers to idle objects: two cache lines. While the node is empty, a bundle. */
struct batch {
	union {
		void *slot[BATCH_SIZE];
		struct bundle bundle;
	};
};

struct depot_chunk {
	struct batch batch[DEPOT_CHUNK_NODES];
	_Atomic uint16_t next[DEPOT_CHUNK_NODES]; /* used by the stack that the node is on; see depot_next */
};

/*
 * Empty nodes that one thread keeps, so that most pushes and pops touch one shared word instead of two. A thread that
 * only pushes, or only pops, touches the second word once in DEPOT_BUNDLE operations.
 */
struct depot_spares {
	_Atomic unsigned count; /* written by its thread alone */
	uint16_t node[DEPOT_SPARES];
};

static inline unsigned depot_spares_count(const struct depot_spares *spares)
{
	/* [spares.count] relaxed: the caller's own. */
	return atomic_load_explicit((_Atomic unsigned *)&spares->count, memory_order_relaxed);
}

static inline void depot_spares_set(struct depot_spares *spares, unsigned count)
{
	/* [spares.count] release: after the node; pairs with the fork, whose child inherits the spares. */
	atomic_store_explicit(&spares->count, count, memory_order_release);
}

/* Words that every operation writes have cache lines apart from those that are mostly read. */
struct depot {
	_Alignas(64) struct lifo full;
	_Alignas(64) struct lifo empty;
	_Atomic unsigned nodes;                          /* handed out so far: indices 1 .. nodes */
	_Alignas(64) _Atomic unsigned low;               /* lowest depth of `full` since depot_restart_low */
	_Atomic unsigned sample_low, sample_high;        /* lowest and highest since depot_restart_sample */
	struct depot_chunk *_Atomic chunk[DEPOT_CHUNKS]; /* set once, never cleared */
};

void depot_init(struct depot *depot);

/*
 * In a fork's child, if a thread may have been inside: leaks what the depot held, and its empty nodes. Its table stays,
 * for the forking thread's own spares, and for the operation that a forking signal handler has interrupted.
 */
void depot_forget(struct depot *depot);

/* After gate_close: an operation in progress either sees that the gate is closed, or is seen inside. */
void depot_interrupt(struct depot *depot);

/*
 * Puts a batch of idle objects on the depot. Returns false, and the objects stay the caller's, if it holds `limit`
 * batches already, if there is no memory for a node, or if the gate is closed. `retries` as for lifo_push. May map
 * memory; errno survives. A thread that has spares uses transfer.h.
 */
bool depot_push(
        struct depot *depot, void *const object[BATCH_SIZE], unsigned limit, _Atomic uint64_t *retries);

/* Takes a batch: copies BATCH_SIZE objects to `object`, which are the caller's then. Returns false if the depot is empty,
 * or if the gate is closed. */
bool depot_pop(struct depot *depot, void *object[BATCH_SIZE], _Atomic uint64_t *retries);

/* Gets empty nodes for a thread that has none. Returns false if there is no memory. May map some; errno survives. */
bool depot_stock(struct depot *depot, struct depot_spares *spares, _Atomic uint64_t *retries);

/* Gives half of a thread's empty nodes to all, if it has DEPOT_SPARES. Returns false if the gate is closed. */
bool depot_unstock(struct depot *depot, struct depot_spares *spares, _Atomic uint64_t *retries);

/* Records that the depot rose, or fell, to `depth`; see transfer.h. */
void depot_raise(struct depot *depot, unsigned depth);
void depot_lower(struct depot *depot, unsigned depth);

/* Returns how many full batches it holds; other threads may change that at once. */
static inline unsigned depot_depth(struct depot *depot)
{
	return lifo_depth(&depot->full);
}

/* Gives all of a thread's empty nodes to all. */
void depot_return_spares(struct depot *depot, struct depot_spares *spares);

/*
 * Returns the lowest depth since the last call: batches that nobody needed in that time (the working set of Bonwick's
 * magazine layer). One caller at a time.
 */
unsigned depot_restart_low(struct depot *depot);

/* For the log: the lowest and highest depth of this sample, and the beginning of the next one. */
unsigned depot_sample_low(struct depot *depot);
unsigned depot_sample_high(struct depot *depot);
void depot_restart_sample(struct depot *depot);

#endif
