/* SPDX-License-Identifier: MIT */
/*
 * As in QEMU 5.1 to 9.0: every release goes to one list that all threads share, by a compare-and-swap and a
 * locked count, until it is twice its size; then to the thread's own list. A thread whose list is empty takes
 * the whole shared list, if that is long enough.
 */
#include "pools.h"

#include <stdatomic.h>

enum { SIZE = 64 };

static _Atomic(struct link *) released;
static _Atomic unsigned released_count;

static __thread struct {
	struct link *first;
	unsigned count;
} own;

static inline void *take(void)
{
	struct link *object = own.first;

	if (object == NULL) {
		/* All orders here as QEMU has them: sequentially consistent. */
		if (atomic_load(&released_count) <= SIZE)
			return object_make();
		COUNT_DEPOT_OPERATION();
		own.count = atomic_exchange(&released_count, 0);
		own.first = object = atomic_exchange(&released, NULL);
		if (object == NULL)
			return object_make();
	}
	own.first = object->next;
	own.count--;
	return object;
}

static inline void put(void *object)
{
	struct link *link = object;

	if (atomic_load(&released_count) < 2 * SIZE) {
		COUNT_DEPOT_OPERATION();
		link->next = atomic_load(&released);
		while (!atomic_compare_exchange_weak(&released, &link->next, link))
			;
		atomic_fetch_add(&released_count, 1);
	} else if (own.count < SIZE) {
		link->next = own.first;
		own.first = link;
		own.count++;
	} else {
		object_destroy(object);
	}
}

static void thread_stop(void)
{
	while (own.first != NULL) {
		void *object = own.first;

		own.first = own.first->next;
		object_destroy(object);
	}
	own.count = 0;
}

#include "patterns.h"

const struct contender shared_list = {
        .name = "shared list (QEMU 7.2)",
        .thread_stop = thread_stop,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .inlined = patterns_inlined,
        .called = patterns_called,
};
