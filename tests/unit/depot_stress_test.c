/* SPDX-License-Identifier: MIT */
/*
 * Few batches and few nodes for many threads: every node comes back soon, on top of others than before. A stack without a
 * tag breaks then. Each batch has one owner at a time, and detects a second. COPOOL_TEST_ROUNDS makes it longer, `make
 * SAN=perturb` harder.
 */
#include "pool/gate.h"
#include "pool/transfer.h"

#include "tap.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES = 5, THREADS = 3, HELD = 3, EACH = 50 /* operations in a round */ };

static struct depot depot;
static _Atomic unsigned owners[BATCHES]; /* of each batch that is not in the depot */
static _Atomic unsigned long broken;
static pthread_barrier_t barrier;
static unsigned rounds = 20000;

struct held {
	void *object[HELD][BATCH_SIZE];
	unsigned count;
};

/* A batch is its number, 16 times. */
static unsigned number_of(void *const object[BATCH_SIZE])
{
	for (unsigned i = 1; i < BATCH_SIZE; i++) {
		if (object[i] != object[0])
			atomic_fetch_add(&broken, 1);
	}
	return (unsigned)(uintptr_t)object[0] % BATCHES;
}

static bool pop(void *object[BATCH_SIZE], struct depot_spares *spares, _Atomic uint64_t *retries)
{
	unsigned depth;

	if (spares == NULL)
		return depot_pop(&depot, object, retries);
	if (depot_spares_count(spares) == DEPOT_SPARES && !depot_unstock(&depot, spares, retries))
		return false;
	return transfer_pop(&depot, object, spares, &depth, &gate.closed, retries);
}

static bool push(void *const object[BATCH_SIZE], struct depot_spares *spares, _Atomic uint64_t *retries)
{
	if (spares == NULL)
		return depot_push(&depot, object, BATCHES, retries);
	if (depot_spares_count(spares) == 0 && !depot_stock(&depot, spares, retries))
		return false;
	return transfer_push(&depot, object, BATCHES, spares, &gate.closed, retries) > 0;
}

static void take(struct held *held, struct depot_spares *spares, _Atomic uint64_t *retries)
{
	if (!pop(held->object[held->count], spares, retries))
		return;
	if (atomic_fetch_add(&owners[number_of(held->object[held->count])], 1) != 0)
		atomic_fetch_add(&broken, 1);
	held->count++;
}

static void put(struct held *held, struct depot_spares *spares, _Atomic uint64_t *retries)
{
	unsigned number = number_of(held->object[held->count - 1]);

	/* Given up before, as another thread may have it at once. */
	atomic_fetch_sub(&owners[number], 1);
	if (push(held->object[held->count - 1], spares, retries)) {
		held->count--;
		return;
	}
	atomic_fetch_add(&owners[number], 1);
	atomic_fetch_add(&broken, 1); /* there is room for all */
}

static void *push_and_pop(void *argument)
{
	unsigned seed = *(unsigned *)argument;
	struct depot_spares kept = {0}, *spares = seed == 1 ? &kept : NULL;
	struct held held = {.count = 0};
	_Atomic uint64_t retries = 0;

	pthread_barrier_wait(&barrier);
	/* What is broken is seldom empty again, and need not go on. */
	for (unsigned i = 0; (i < EACH * rounds || held.count > 0) && atomic_load(&broken) == 0; i++) {
		seed = seed * 1664525 + 1013904223;
		if (i < EACH * rounds && held.count < HELD && (seed >> 16) % 2 == 0)
			take(&held, spares, &retries);
		else if (held.count > 0)
			put(&held, spares, &retries);
		/* Now and then all of them go, one in the others' slots. */
		if ((seed >> 20) % 8 == 0)
			depot_return_spares(&depot, &kept);
	}
	depot_return_spares(&depot, &kept);
	return NULL;
}

static void fill(unsigned number)
{
	_Atomic uint64_t retries = 0;
	void *object[BATCH_SIZE];

	for (unsigned i = 0; i < BATCH_SIZE; i++)
		object[i] = (void *)(uintptr_t)(BATCHES + number);
	depot_push(&depot, object, BATCHES, &retries);
}

static void check_contents(void)
{
	_Atomic uint64_t retries = 0;
	void *object[BATCH_SIZE];
	unsigned found[BATCHES] = {0}, count = 0;

	while (count <= BATCHES && depot_pop(&depot, object, &retries)) {
		found[number_of(object)]++;
		count++;
	}
	tap_is(count, BATCHES, "few nodes: as many batches are there as were put");
	for (unsigned i = 0; i < BATCHES; i++)
		tap_is(found[i], 1, "few nodes: batch %u is there once", i);
	tap_is(depot_depth(&depot), 0, "few nodes: its depth is 0 when all have been taken");
	/* A batch in each thread's hands, and its own way of keeping nodes. */
	tap_ok(depot.nodes <= BATCHES + THREADS * (1 + DEPOT_SPARES), "few nodes: no node was lost (%u made)",
	        depot.nodes);
}

int main(void)
{
	const char *wanted = getenv("COPOOL_TEST_ROUNDS");
	pthread_t thread[THREADS];
	unsigned seed[THREADS];

	if (wanted != NULL)
		rounds = (unsigned)strtoul(wanted, NULL, 10);
	depot_init(&depot);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (unsigned i = 0; i < BATCHES; i++)
		fill(i);
	for (unsigned i = 0; i < THREADS; i++) {
		seed[i] = i + 1;
		if (pthread_create(&thread[i], NULL, push_and_pop, &seed[i]) != 0)
			exit(EXIT_FAILURE);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	tap_is(atomic_load(&broken), 0, "few nodes: no batch ever has two owners, or half of another");
	check_contents();
	return tap_done();
}
