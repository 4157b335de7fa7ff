/* SPDX-License-Identifier: MIT */
/*
 * What copool's structure costs by itself: a thread's array of two batches over a lock-free stack of full ones, with
 * the same stack (pool/lifo.h) and the same copies as in shim/pool, but nothing else: nothing is counted, no signal
 * handler may come in between, nobody may fork, and there is no cap.
 */
#include "pools.h"

#include <stdlib.h>
#include <string.h>

#include "pool/lifo.h"

enum { BATCH = 16, SPARES = 64 };

struct node {
	_Alignas(64) void *object[BATCH];
};

static struct {
	_Alignas(64) struct lifo full;
	_Alignas(64) struct lifo empty;
	_Alignas(64) _Atomic unsigned used; /* nodes 1 .. used have been handed out */
	struct node *node;                  /* LIFO_MAX_INDEX + 1 of them, and their links */
	_Atomic uint16_t *next;
} stack;

static __thread struct {
	unsigned long count;
	unsigned spares;
	uint16_t spare[SPARES]; /* empty nodes */
	_Atomic uint64_t retries;
	_Alignas(64) void *object[2 * BATCH];
} * array;

static bool start(void)
{
	stack.node = aligned_alloc(64, (LIFO_MAX_INDEX + 1) * sizeof *stack.node);
	stack.next = calloc(LIFO_MAX_INDEX + 1, sizeof *stack.next);
	return stack.node != NULL && stack.next != NULL;
}

static void thread_start(void)
{
	array = aligned_alloc(64, sizeof *array);
	if (array == NULL)
		abort();
	memset(array, 0, sizeof *array);
}

static _Atomic uint16_t *next_of(void *table, uint16_t index)
{
	(void)table;
	return &stack.next[index];
}

static uint16_t pop(struct lifo *lifo)
{
	unsigned depth;

	return lifo_pop(lifo, next_of, NULL, &depth, NULL, &array->retries);
}

static void push(struct lifo *lifo, uint16_t index)
{
	lifo_push(lifo, next_of, NULL, index, LIFO_MAX_INDEX, NULL, &array->retries);
}

static __attribute__((noinline, cold)) uint16_t find_empty(void)
{
	uint16_t index = pop(&stack.empty);

	/* [stack.used] relaxed: hands out numbers. */
	if (index == LIFO_NONE)
		index = (uint16_t)(atomic_fetch_add_explicit(&stack.used, 1, memory_order_relaxed) + 1);
	return index;
}

static __attribute__((noinline)) bool refill(void)
{
	uint16_t index;

	COUNT_DEPOT_OPERATION();
	index = pop(&stack.full);
	if (index == LIFO_NONE)
		return false;
	memcpy(array->object, stack.node[index].object, sizeof(struct node));
	if (array->spares < SPARES)
		array->spare[array->spares++] = index;
	else
		push(&stack.empty, index);
	return true;
}

static __attribute__((noinline)) void spill(void)
{
	uint16_t index = array->spares > 0 ? array->spare[--array->spares] : find_empty();

	COUNT_DEPOT_OPERATION();
	memcpy(stack.node[index].object, array->object + BATCH, sizeof(struct node));
	push(&stack.full, index);
}

static inline void *take(void)
{
	unsigned long count = array->count;

	if (__builtin_expect(count == 0, 0)) {
		if (!refill())
			return object_make();
		count = BATCH;
	}
	array->count = count - 1;
	return array->object[count - 1];
}

static inline void put(void *object)
{
	unsigned long count = array->count;

	if (__builtin_expect(count == 2 * BATCH, 0)) {
		spill();
		count = BATCH;
	}
	array->object[count] = object;
	array->count = count + 1;
}

static void thread_stop(void)
{
	while (array->count > 0)
		object_destroy(array->object[--array->count]);
	while (array->spares > 0)
		push(&stack.empty, array->spare[--array->spares]);
	free(array);
}

#include "patterns.h"

const struct contender structure_alone = {
        .name = "structure alone",
        .start = start,
        .thread_start = thread_start,
        .thread_stop = thread_stop,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .inlined = patterns_inlined,
        .called = patterns_called,
};
