/* SPDX-License-Identifier: MIT */
/*
 * Moves a batch between a thread's cache and the depot, as most refills and spills do: inlined and without a call, so
 * that it costs little more than its compare-and-swap. The caller must have an empty node for a push, and room for one
 * for a pop.
 */
#ifndef COPOOL_POOL_TRANSFER_H
#define COPOOL_POOL_TRANSFER_H

#include "pool/depot.h"

#include <string.h>

/* ---- the parts of a node ---- */

static inline struct depot_chunk *depot_chunk(struct depot *depot, uint16_t node)
{
	/* [depot.chunk] acquire: pairs with the release in chunk_map; a node is only handed out after it. */
	return atomic_load_explicit(&depot->chunk[node / DEPOT_CHUNK_NODES], memory_order_acquire);
}

static inline _Atomic uint16_t *depot_next(void *depot, uint16_t node)
{
	/* Neighbours lie in different cache lines: a thread may push one while another thread pops the other. */
	unsigned place = node % DEPOT_LINES * (DEPOT_CHUNK_NODES / DEPOT_LINES) +
	                 node % DEPOT_CHUNK_NODES / DEPOT_LINES;

	return &depot_chunk(depot, node)->next[place];
}

static inline struct batch *depot_batch(struct depot *depot, uint16_t node)
{
	return &depot_chunk(depot, node)->batch[node % DEPOT_CHUNK_NODES];
}

/* ---- moving a batch ---- */

/*
 * Puts a batch of idle objects on the depot. Returns how many batches it holds then, which depot_note_high wants to know;
 * 0, and the objects stay the caller's, if it holds `limit` batches already, or if *barred is not 0. `spares` are the
 * calling thread's, and not empty: see depot_stock. `barred` and `retries` as for lifo_push.
 */
static inline unsigned transfer_push(struct depot *depot, void *const object[BATCH_SIZE], unsigned limit,
        struct depot_spares *spares, const _Atomic uint32_t *barred, _Atomic uint64_t *retries)
{
	unsigned rest = depot_spares_count(spares) - 1, depth;
	uint16_t node = spares->node[rest];

	memcpy(depot_batch(depot, node)->slot, object, sizeof(struct batch));
	depth = lifo_push(&depot->full, depot_next, depot, node, limit, barred, retries);
	if (depth > 0)
		depot_spares_set(spares, rest);
	return depth;
}

/*
 * Takes a batch: copies BATCH_SIZE objects to `object`, which are the caller's then. Returns false if the depot is empty,
 * or if *barred is not 0. Sets *depth to how many batches are left, which depot_note_low wants to know. `spares` has room
 * for a node: see depot_unstock.
 */
static inline bool transfer_pop(struct depot *depot, void *object[BATCH_SIZE], struct depot_spares *spares,
        unsigned *depth, const _Atomic uint32_t *barred, _Atomic uint64_t *retries)
{
	uint16_t node = lifo_pop(&depot->full, depot_next, depot, depth, barred, retries);
	unsigned count = depot_spares_count(spares);

	if (node == LIFO_NONE)
		return false;
	memcpy(object, depot_batch(depot, node)->slot, sizeof(struct batch));
	spares->node[count] = node;
	depot_spares_set(spares, count + 1);
	return true;
}

static inline void depot_note_high(struct depot *depot, unsigned depth)
{
	/* [depot.sample_high] relaxed: a statistic. */
	if (__builtin_expect(depth > atomic_load_explicit(&depot->sample_high, memory_order_relaxed), 0))
		depot_raise(depot, depth);
}

static inline void depot_note_low(struct depot *depot, unsigned depth)
{
	/* [depot.low, depot.sample_low] relaxed: statistics; a lost race changes one window's trim. */
	if (__builtin_expect(depth < atomic_load_explicit(&depot->low, memory_order_relaxed) ||
	                             depth < atomic_load_explicit(&depot->sample_low, memory_order_relaxed),
	            0))
		depot_lower(depot, depth);
}

#endif
