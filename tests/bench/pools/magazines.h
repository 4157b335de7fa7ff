/* SPDX-License-Identifier: MIT */
/*
 * Bonwick's magazines: a thread has a loaded and a previous one of 16, and swaps them before it goes to the
 * depot. The file that includes this has the depot, which is a library's stack: depot_push and depot_pop of
 * the struct magazine that begins with a node of that library's (DEPOT_NODE). Empty magazines go to a second
 * stack.
 */
#include "pools.h"

#include <stdlib.h>

enum { MAGAZINE = 16 };

struct magazine {
	_Alignas(16) DEPOT_NODE node;
	unsigned count;
	void *object[MAGAZINE];
};

enum depot_stack { FULL, EMPTY, STACKS };

static void depot_push(enum depot_stack stack, struct magazine *magazine);
static struct magazine *depot_pop(enum depot_stack stack); /* NULL: there is none */

static __thread struct magazine *loaded, *previous;

static struct magazine *magazine_empty(void)
{
	struct magazine *magazine = depot_pop(EMPTY);

	if (magazine == NULL)
		magazine = aligned_alloc(64, (sizeof *magazine + 63) / 64 * 64);
	if (magazine == NULL)
		abort();
	magazine->count = 0;
	return magazine;
}

static void swap(void)
{
	struct magazine *was = loaded;

	loaded = previous;
	previous = was;
}

static void thread_start(void)
{
	loaded = magazine_empty();
	previous = magazine_empty();
}

static __attribute__((noinline)) bool refill(void)
{
	struct magazine *full;

	swap();
	if (loaded->count > 0)
		return true;
	COUNT_DEPOT_OPERATION();
	full = depot_pop(FULL);
	if (full == NULL)
		return false;
	depot_push(EMPTY, previous);
	previous = loaded;
	loaded = full;
	return true;
}

static __attribute__((noinline)) void spill(void)
{
	swap();
	if (loaded->count < MAGAZINE)
		return;
	COUNT_DEPOT_OPERATION();
	depot_push(FULL, previous);
	previous = loaded;
	loaded = magazine_empty();
}

static inline void *take(void)
{
	if (loaded->count == 0 && !refill())
		return object_make();
	return loaded->object[--loaded->count];
}

static inline void put(void *object)
{
	if (loaded->count == MAGAZINE)
		spill();
	loaded->object[loaded->count++] = object;
}

static void thread_stop(void)
{
	for (int i = 0; i < 2; i++, swap()) {
		while (loaded->count > 0)
			object_destroy(loaded->object[--loaded->count]);
		depot_push(EMPTY, loaded);
	}
}
