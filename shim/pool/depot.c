/* SPDX-License-Identifier: MIT */
/* The depot's nodes, and how deep it was. The stacks themselves are in lifo.h. */
#include "pool/depot.h"

#include "libc/real.h"
#include "pool/gate.h"
#include "pool/transfer.h"

void depot_init(struct depot *depot)
{
	memset(depot, 0, sizeof *depot);
}

void depot_forget(struct depot *depot)
{
	lifo_forget(&depot->full);
	lifo_forget(&depot->empty);
	depot_restart_low(depot);
	depot_restart_sample(depot);
}

void depot_interrupt(struct depot *depot)
{
	lifo_interrupt(&depot->full);
	lifo_interrupt(&depot->empty);
}

/* Maps the chunk of `node` if need be. Of two threads that do, the slower one unmaps its own. */
static bool chunk_map(struct depot *depot, uint16_t node)
{
	struct depot_chunk *_Atomic *place = &depot->chunk[node / DEPOT_CHUNK_NODES];
	struct depot_chunk *chunk, *expected = NULL;

	if (depot_chunk(depot, node) != NULL)
		return true;
	chunk = real_table(sizeof *chunk);
	if (chunk == NULL)
		return false;
	/* [depot.chunk] release: publishes the zeroed chunk to depot_chunk. */
	if (!atomic_compare_exchange_strong_explicit(
	            place, &expected, chunk, memory_order_release, memory_order_relaxed))
		real_table_free(chunk, sizeof *chunk);
	return true;
}

/* Returns a node that was never used, or LIFO_NONE if there is no memory. */
static uint16_t node_make(struct depot *depot)
{
	/* [depot.nodes] relaxed: hands out numbers; the node's memory is published by depot.chunk. */
	unsigned used = atomic_load_explicit(&depot->nodes, memory_order_relaxed);

	do {
		if (used >= DEPOT_MAX_BATCHES || !chunk_map(depot, used + 1))
			return LIFO_NONE;
		/* [depot.nodes] relaxed, as above. */
	} while (!atomic_compare_exchange_weak_explicit(
	        &depot->nodes, &used, used + 1, memory_order_relaxed, memory_order_relaxed));
	return used + 1;
}

/* Gives nodes to all: the others lie in the first one's slots. Returns false if *barred is not 0. */
static bool push_empty(struct depot *depot, const uint16_t *node, unsigned count,
        const _Atomic uint32_t *barred, _Atomic uint64_t *retries)
{
	struct bundle *bundle = &depot_batch(depot, node[0])->bundle;

	bundle->count = count - 1;
	memcpy(bundle->node, node + 1, (count - 1) * sizeof *node);
	return lifo_push(&depot->empty, depot_next, depot, node[0], LIFO_MAX_INDEX, barred, retries) > 0;
}

bool depot_stock(struct depot *depot, struct depot_spares *spares, _Atomic uint64_t *retries)
{
	unsigned depth, count = 0;
	uint16_t node = lifo_pop(&depot->empty, depot_next, depot, &depth, &gate.closed, retries);

	if (node != LIFO_NONE) {
		const struct bundle *bundle = &depot_batch(depot, node)->bundle;

		count = bundle->count;
		memcpy(spares->node, bundle->node, count * sizeof node);
	} else {
		node = node_make(depot);
	}
	spares->node[count] = node;
	depot_spares_set(spares, node != LIFO_NONE ? count + 1 : 0);
	return node != LIFO_NONE;
}

bool depot_unstock(struct depot *depot, struct depot_spares *spares, _Atomic uint64_t *retries)
{
	unsigned rest = DEPOT_SPARES - DEPOT_BUNDLE;

	if (!push_empty(depot, spares->node + rest, DEPOT_BUNDLE, &gate.closed, retries))
		return false;
	depot_spares_set(spares, rest);
	return true;
}

void depot_return_spares(struct depot *depot, struct depot_spares *spares)
{
	_Atomic uint64_t retries = 0;
	unsigned count = depot_spares_count(spares);

	depot_spares_set(spares, 0);
	if (count > 0)
		push_empty(depot, spares->node, count, NULL, &retries);
}

bool depot_push(
        struct depot *depot, void *const object[BATCH_SIZE], unsigned limit, _Atomic uint64_t *retries)
{
	struct depot_spares spares;
	unsigned depth;

	/* If the depot is full, no node is mapped. */
	if (depot_depth(depot) >= limit)
		return false;
	if (!depot_stock(depot, &spares, retries))
		return false;
	depth = transfer_push(depot, object, limit, &spares, &gate.closed, retries);
	depot_note_high(depot, depth);
	depot_return_spares(depot, &spares);
	return depth > 0;
}

bool depot_pop(struct depot *depot, void *object[BATCH_SIZE], _Atomic uint64_t *retries)
{
	struct depot_spares spares;
	unsigned depth;
	bool is_found;

	depot_spares_set(&spares, 0);
	is_found = transfer_pop(depot, object, &spares, &depth, &gate.closed, retries);
	depot_note_low(depot, depth);
	depot_return_spares(depot, &spares);
	return is_found;
}

void depot_raise(struct depot *depot, unsigned depth)
{
	/* [depot.sample_high] relaxed: a statistic. */
	unsigned high = atomic_load_explicit(&depot->sample_high, memory_order_relaxed);

	while (depth > high && !atomic_compare_exchange_weak_explicit(&depot->sample_high, &high, depth,
	                               memory_order_relaxed, memory_order_relaxed))
		;
}

static void lower(_Atomic unsigned *least, unsigned depth)
{
	/* [depot.low, depot.sample_low] relaxed: statistics. */
	unsigned low = atomic_load_explicit(least, memory_order_relaxed);

	while (depth < low && !atomic_compare_exchange_weak_explicit(
	                              least, &low, depth, memory_order_relaxed, memory_order_relaxed))
		;
}

void depot_lower(struct depot *depot, unsigned depth)
{
	lower(&depot->low, depth);
	lower(&depot->sample_low, depth);
}

unsigned depot_restart_low(struct depot *depot)
{
	/* [depot.low] relaxed: see lower. */
	return atomic_exchange_explicit(&depot->low, depot_depth(depot), memory_order_relaxed);
}

/* [depot.sample_low, depot.sample_high] relaxed in the next three: see lower and depot_raise. */
unsigned depot_sample_low(struct depot *depot)
{
	unsigned low = atomic_load_explicit(&depot->sample_low, memory_order_relaxed),
	         now = depot_depth(depot);

	return low < now ? low : now;
}

unsigned depot_sample_high(struct depot *depot)
{
	unsigned high = atomic_load_explicit(&depot->sample_high, memory_order_relaxed),
	         now = depot_depth(depot);

	return high > now ? high : now;
}

void depot_restart_sample(struct depot *depot)
{
	atomic_store_explicit(&depot->sample_low, depot_depth(depot), memory_order_relaxed);
	atomic_store_explicit(&depot->sample_high, depot_depth(depot), memory_order_relaxed);
}
