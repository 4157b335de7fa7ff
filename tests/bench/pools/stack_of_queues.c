/* SPDX-License-Identifier: MIT */
/*
 * The batch patch of 2020: a thread releases to a queue of its own and takes from it; a full queue of 16 is
 * pushed whole on a lock-free stack, an empty one is replaced by a whole one from there. At most 32 queues
 * wait on it. The objects themselves are the links: the first of a queue carries the queue.
 */
#include "pools.h"

#include <stdatomic.h>

enum { QUEUE = 16, QUEUES_MOST = 32, TAG_SHIFT = 48 };

struct queued {
	struct queued *next;            /* in its queue */
	_Atomic(struct queued *) below; /* of a queue's first: the queue under it on the stack */
};

static _Atomic uint64_t top; /* tag 16, address 48: against a queue that is taken and comes back */
static _Atomic unsigned queues;

static __thread struct {
	struct queued *first;
	unsigned count;
} own;

static struct queued *address_of(uint64_t word)
{
	return (struct queued *)(uintptr_t)(word & (((uint64_t)1 << TAG_SHIFT) - 1));
}

static uint64_t word_of(uint64_t old, struct queued *queue)
{
	return ((old >> TAG_SHIFT) + 1) << TAG_SHIFT | (uintptr_t)queue;
}

static __attribute__((noinline)) bool push_own(void)
{
	uint64_t old = atomic_load_explicit(&top, memory_order_relaxed);

	COUNT_DEPOT_OPERATION();
	/* [queues] relaxed: a number. */
	if (atomic_fetch_add_explicit(&queues, 1, memory_order_relaxed) >= QUEUES_MOST) {
		atomic_fetch_sub_explicit(&queues, 1, memory_order_relaxed);
		return false;
	}
	do
		atomic_store_explicit(&own.first->below, address_of(old), memory_order_relaxed);
	/* [top] release: the queue; pairs with pop_own. */
	while (!atomic_compare_exchange_weak_explicit(
	        &top, &old, word_of(old, own.first), memory_order_release, memory_order_relaxed));
	own.first = NULL;
	own.count = 0;
	return true;
}

static __attribute__((noinline)) bool pop_own(void)
{
	/* [top] acquire: the queue; pairs with push_own. */
	uint64_t old = atomic_load_explicit(&top, memory_order_acquire);
	struct queued *queue, *below;

	COUNT_DEPOT_OPERATION();
	do {
		queue = address_of(old);
		if (queue == NULL)
			return false;
		below = atomic_load_explicit(&queue->below, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
	        &top, &old, word_of(old, below), memory_order_acquire, memory_order_acquire));
	atomic_fetch_sub_explicit(&queues, 1, memory_order_relaxed);
	own.first = queue;
	own.count = QUEUE;
	return true;
}

static inline void *take(void)
{
	struct queued *object;

	if (own.first == NULL && !pop_own())
		return object_make();
	object = own.first;
	own.first = object->next;
	own.count--;
	return object;
}

static inline void put(void *object)
{
	struct queued *queued = object;

	if (own.count == QUEUE && !push_own()) {
		object_destroy(object);
		return;
	}
	queued->next = own.first;
	own.first = queued;
	own.count++;
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

const struct contender stack_of_queues = {
        .name = "stack of queues (2020)",
        .thread_stop = thread_stop,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .inlined = patterns_inlined,
        .called = patterns_called,
};
