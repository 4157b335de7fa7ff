/* The depot's nodes: where they come from, and what goes into them. The stacks themselves are in lifo.h. */
#include "pool/depot.h"

#include "libc/real.h"
#include "pool/gate.h"

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
}

static uint16_t pop(struct lifo *lifo, struct depot *depot, unsigned *depth, _Atomic uint64_t *retries)
{
	return lifo_pop(lifo, next_of, depot, depth, &gate.closed, retries);
}

/* Never barred: who has a node to give back has changed a word before, or went through gate_enter. */
static void push_empty(struct depot *depot, uint16_t node, _Atomic uint64_t *retries)
{
	lifo_push(&depot->empty, next_of, depot, node, LIFO_MAX_INDEX, NULL, retries);
}

void depot_interrupt(struct depot *depot)
{
	lifo_interrupt(&depot->full);
	lifo_interrupt(&depot->empty);
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

static unsigned spares_count(const struct depot_spares *spares)
{
	/* [spares.count] relaxed: the caller's own. */
	return atomic_load_explicit((_Atomic unsigned *)&spares->count, memory_order_relaxed);
}

static void set_spares_count(struct depot_spares *spares, unsigned count)
{
	/* [spares.count] release: behind the node; pairs with the fork, whose child inherits the spares. */
	atomic_store_explicit(&spares->count, count, memory_order_release);
}

static uint16_t spares_take(struct depot_spares *spares)
{
	unsigned count = spares_count(spares);

	if (count == 0)
		return LIFO_NONE;
	set_spares_count(spares, count - 1);
	return spares->node[count - 1];
}

static bool spares_keep(struct depot_spares *spares, uint16_t node)
{
	unsigned count = spares_count(spares);

	if (count == DEPOT_SPARES)
		return false;
	spares->node[count] = node;
	set_spares_count(spares, count + 1);
	return true;
}

static uint16_t node_get(struct depot *depot, struct depot_spares *spares, _Atomic uint64_t *retries)
{
	unsigned depth;
	uint16_t node = spares != NULL ? spares_take(spares) : LIFO_NONE;

	if (node != LIFO_NONE)
		return node;
	node = pop(&depot->empty, depot, &depth, retries);
	return node != LIFO_NONE ? node : node_make(depot);
}

static void node_put(
        struct depot *depot, uint16_t node, struct depot_spares *spares, _Atomic uint64_t *retries)
{
	if (spares == NULL || !spares_keep(spares, node))
		push_empty(depot, node, retries);
}

/* Remembers that the depot rose to `depth`. */
static void note_high(struct depot *depot, unsigned depth)
{
	/* [depot.sample_high] relaxed: a statistic. */
	unsigned high = atomic_load_explicit(&depot->sample_high, memory_order_relaxed);

	while (depth > high && !atomic_compare_exchange_weak_explicit(&depot->sample_high, &high, depth,
	                               memory_order_relaxed, memory_order_relaxed))
		;
}

bool depot_push(struct depot *depot, void *const object[BATCH_SIZE], unsigned limit,
        struct depot_spares *spares, _Atomic uint64_t *retries)
{
	unsigned depth;
	uint16_t node;

	/* A full depot is left alone: it is no reason to write to shared lines, or to map a node. */
	if (depot_depth(depot) >= limit)
		return false;
	node = node_get(depot, spares, retries);
	if (node == LIFO_NONE)
		return false;
	memcpy(batch_of(depot, node)->slot, object, sizeof(struct batch));
	depth = lifo_push(&depot->full, next_of, depot, node, limit, &gate.closed, retries);
	if (depth == 0) {
		node_put(depot, node, spares, retries);
		return false;
	}
	note_high(depot, depth);
	return true;
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

bool depot_pop(
        struct depot *depot, void *object[BATCH_SIZE], struct depot_spares *spares, _Atomic uint64_t *retries)
{
	unsigned depth;
	uint16_t node = pop(&depot->full, depot, &depth, retries);

	note_low(depot, depth);
	if (node == LIFO_NONE)
		return false;
	memcpy(object, batch_of(depot, node)->slot, sizeof(struct batch));
	node_put(depot, node, spares, retries);
	return true;
}

void depot_forget_spares(struct depot_spares *spares)
{
	set_spares_count(spares, 0);
}

void depot_return_spares(struct depot *depot, struct depot_spares *spares)
{
	_Atomic uint64_t retries = 0;
	uint16_t node;

	while ((node = spares_take(spares)) != LIFO_NONE)
		push_empty(depot, node, &retries);
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
