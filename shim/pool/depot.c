/* The depot's nodes: where they come from, and what goes into them. The stacks themselves are in lifo.h. */
#include "pool/depot.h"

#include "libc/real.h"

#include <string.h>

static struct depot_chunk *chunk_of(struct depot *depot, uint16_t node)
{
	/* [depot.chunk] acquire: pairs with the release in chunk_map; a node is only handed out after it. */
	return atomic_load_explicit(&depot->chunk[node / DEPOT_CHUNK_NODES], memory_order_acquire);
}

static _Atomic uint16_t *next_of(void *depot, uint16_t node)
{
	return &chunk_of(depot, node)->next[node % DEPOT_CHUNK_NODES];
}

static struct batch *batch_of(struct depot *depot, uint16_t node)
{
	return &chunk_of(depot, node)->batch[node % DEPOT_CHUNK_NODES];
}

void depot_init(struct depot *depot)
{
	memset(depot, 0, sizeof *depot);
	depot->full.next = depot->empty.next = next_of;
	depot->full.table = depot->empty.table = depot;
}

/* Makes sure that the chunk of `node` is mapped; of two threads that map it, the slower one gives its own up.
 */
static bool chunk_map(struct depot *depot, uint16_t node)
{
	struct depot_chunk *_Atomic *place = &depot->chunk[node / DEPOT_CHUNK_NODES];
	struct depot_chunk *chunk, *expected = NULL;

	if (chunk_of(depot, node) != NULL)
		return true;
	chunk = real_table(sizeof *chunk);
	if (chunk == NULL)
		return false;
	/* [depot.chunk] release: publishes the zeroed chunk to chunk_of. */
	if (!atomic_compare_exchange_strong_explicit(
	            place, &expected, chunk, memory_order_release, memory_order_relaxed))
		real_table_free(chunk, sizeof *chunk);
	return true;
}

/* A node never used before, or LIFO_NONE. */
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

static uint16_t node_get(struct depot *depot, struct depot_spares *spares, unsigned *retries)
{
	unsigned depth;
	uint16_t node;

	if (spares != NULL && spares->count > 0)
		return spares->node[--spares->count];
	node = lifo_pop(&depot->empty, &depth, retries);
	return node != LIFO_NONE ? node : node_make(depot);
}

static void node_put(struct depot *depot, uint16_t node, struct depot_spares *spares, unsigned *retries)
{
	if (spares != NULL && spares->count < DEPOT_SPARES)
		spares->node[spares->count++] = node;
	else
		lifo_push(&depot->empty, node, LIFO_MAX_INDEX, retries);
}

/* Remembers how far the depot has risen. */
static void note_high(struct depot *depot)
{
	/* [depot.sample_high] relaxed: a statistic. */
	unsigned depth = depot_depth(depot);
	unsigned high = atomic_load_explicit(&depot->sample_high, memory_order_relaxed);

	while (depth > high && !atomic_compare_exchange_weak_explicit(&depot->sample_high, &high, depth,
	                               memory_order_relaxed, memory_order_relaxed))
		;
}

bool depot_push(struct depot *depot, void *const object[BATCH_SIZE], unsigned limit,
        struct depot_spares *spares, unsigned *retries)
{
	uint16_t node;

	/* A full depot is left alone: it is no reason to write to shared lines, or to map a node. */
	if (depot_depth(depot) >= limit)
		return false;
	node = node_get(depot, spares, retries);
	if (node == LIFO_NONE)
		return false;
	memcpy(batch_of(depot, node)->slot, object, sizeof(struct batch));
	if (lifo_push(&depot->full, node, limit, retries)) {
		note_high(depot);
		return true;
	}
	node_put(depot, node, spares, retries);
	return false;
}

static void lower(_Atomic unsigned *least, unsigned depth)
{
	/* [depot.low, depot.sample_low] relaxed: statistics; a lost race costs or saves one window's trim. */
	unsigned low = atomic_load_explicit(least, memory_order_relaxed);

	while (depth < low && !atomic_compare_exchange_weak_explicit(
	                              least, &low, depth, memory_order_relaxed, memory_order_relaxed))
		;
}

/* Remembers that the depot fell to `depth`. */
static void note_low(struct depot *depot, unsigned depth)
{
	lower(&depot->low, depth);
	lower(&depot->sample_low, depth);
}

bool depot_pop(struct depot *depot, void *object[BATCH_SIZE], struct depot_spares *spares, unsigned *retries)
{
	unsigned depth;
	uint16_t node = lifo_pop(&depot->full, &depth, retries);

	note_low(depot, depth);
	if (node == LIFO_NONE)
		return false;
	memcpy(object, batch_of(depot, node)->slot, sizeof(struct batch));
	node_put(depot, node, spares, retries);
	return true;
}

void depot_return_spares(struct depot *depot, struct depot_spares *spares)
{
	unsigned retries = 0;

	while (spares->count > 0)
		lifo_push(&depot->empty, spares->node[--spares->count], LIFO_MAX_INDEX, &retries);
}

unsigned depot_restart_low(struct depot *depot)
{
	/* [depot.low] relaxed: see lower. */
	return atomic_exchange_explicit(&depot->low, depot_depth(depot), memory_order_relaxed);
}

/* [depot.sample_low, depot.sample_high] relaxed in the next three: see lower and note_high. */
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
