/* SPDX-License-Identifier: MIT */
/*
 * The depot: the lock-free stack of full batches that all threads share, and the stack of empty batch nodes
 * behind it. Lock-free; any thread enters, through the gate (so that fork finds it at rest).
 *
 *	cache --depot_push--> | full  | --depot_pop--> cache		16 pointers are copied, never linked
 *	          node <----- | empty | <----- node			through the objects themselves
 *
 * Batches on it are always full. Nodes lie in chunks that are mapped on demand and never unmapped, so that a
 * slow thread may still read a node's `next`.
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

/* Other empty nodes that one on the empty stack has with it. */
struct bundle {
	uint16_t count;
	uint16_t node[DEPOT_SPARES - 1];
};

/* Exactly BATCH_SIZE pointers to idle objects: two cache lines. Or, while the node is empty, what lies with it. */
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
 * Empty nodes that one thread keeps, so that most pushes and pops touch one shared word, not two. A thread that only
 * pushes, or only pops, touches the other word in one of DEPOT_BUNDLE.
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
	/* [spares.count] release: behind the node; pairs with the fork, whose child inherits the spares. */
	atomic_store_explicit(&spares->count, count, memory_order_release);
}

/* What is written by every operation lies apart from what is mostly read. */
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
 * In a fork's child that found it in motion: what it held is lost, and so are its empty nodes. Its table stays, for the
 * forking thread's own spares, and for what a signal handler that forked has interrupted.
 */
void depot_forget(struct depot *depot);

/* For gate_close: a thread that is in a push or pop finds the gate closed, or is seen to be inside. */
void depot_interrupt(struct depot *depot);

/*
 * Puts a batch of idle objects on the depot unless it holds `limit` batches already, there is no memory
 * for a node, or the gate is closed; then returns false and the objects stay the caller's. `retries` is a
 * counter of the caller's own. May map memory; errno survives. For threads that have spares: transfer.h.
 */
bool depot_push(
        struct depot *depot, void *const object[BATCH_SIZE], unsigned limit, _Atomic uint64_t *retries);

/* Takes a batch: BATCH_SIZE objects, then the caller's, are copied to `object`. False: the depot is empty, or
 * the gate is closed. */
bool depot_pop(struct depot *depot, void *object[BATCH_SIZE], _Atomic uint64_t *retries);

/* Gets a thread that has no spares some. False: there is no memory. May map some; errno survives. */
bool depot_stock(struct depot *depot, struct depot_spares *spares, _Atomic uint64_t *retries);

/* Makes room in spares that have none. False: the gate is closed. */
bool depot_unstock(struct depot *depot, struct depot_spares *spares, _Atomic uint64_t *retries);

/* Remembers that the depot rose, or fell, to `depth`; see transfer.h. */
void depot_raise(struct depot *depot, unsigned depth);
void depot_lower(struct depot *depot, unsigned depth);

/* How many full batches it holds just now. */
static inline unsigned depot_depth(struct depot *depot)
{
	return lifo_depth(&depot->full);
}

/* Gives a thread's empty nodes back to all. */
void depot_return_spares(struct depot *depot, struct depot_spares *spares);

/*
 * The lowest depth since the last call: batches that nobody needed in that time (the working set of Bonwick's
 * magazine layer). Begins a new window. One caller at a time.
 */
unsigned depot_restart_low(struct depot *depot);

/* The same for the log: the lowest and highest depth since a sample was written, and that another begins. */
unsigned depot_sample_low(struct depot *depot);
unsigned depot_sample_high(struct depot *depot);
void depot_restart_sample(struct depot *depot);

#endif
