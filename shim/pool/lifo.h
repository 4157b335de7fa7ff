/* SPDX-License-Identifier: MIT */
/*
 * A lock-free stack of small integers, for any number of pushers and poppers: Treiber's stack with a tag (IBM, 1986). It
 * holds the indices 1 .. 65535 of nodes in a table, where the `next` of each node lies too.
 *
 *	word = | tag 32 | depth 16 | index of the top 16 |	one compare-and-swap changes all three
 *
 * The depth makes a cap exact. The tag counts the changes of the word, because of the ABA problem: thread 1 wants to pop,
 * and reads that A is the top and B is next. Before its compare-and-swap, thread 2 pops A and B, and pushes C and A. Index
 * and depth are now as thread 1 read them, but B belongs to thread 2 and must not become the top. The tag has changed, so
 * thread 1 fails and reads again. It would be fooled only if it slept over an exact multiple of 2^32 changes.
 *
 * Synchronization: what two operations need that run at the same time, or one in a signal handler that interrupts the
 * other.
 *				push	pop	depth, interrupt	forget
 *	push			N	N, T	-			F
 *	pop			N, T	T	-			F
 *	depth, interrupt	-	-	-			F
 *
 *	-	nothing
 *	N	another node: a node belongs to its pusher until the push has succeeded, and to its popper afterwards
 *	T	a table that is never unmapped: a pop may read the `next` of a node that another thread has popped since
 *	F	a process of one thread, and that forget is not interrupted by the other
 *
 * A push is seq_cst. Its release publishes the node's contents to the pop that takes it. And of a thread that pushes and
 * then reads whether somebody sleeps, and one that says that it sleeps and then looks at the stack, one sees the other.
 * A pop is acq_rel. Its acquire sees the node's contents; as every change of the word is a read-modify-write, it continues
 * the release sequences of all pushes before. Its release says that the popper is inside the gate: see lifo_interrupt.
 *
 * A word `barred` can stop both. A thread sets it and calls lifo_interrupt; an operation that has not succeeded by then
 * sees the word, and gives up.
 */
#ifndef COPOOL_POOL_LIFO_H
#define COPOOL_POOL_LIFO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/owner_word.h"

enum { LIFO_NONE = 0, LIFO_MAX_INDEX = 65535, LIFO_DEPTH_SHIFT = 16, LIFO_DEPTH_MASK = 0xffff };

struct lifo {
	_Atomic uint64_t word;
};

/* Where the `next` of a node lies; never NULL for an index that was pushed. */
typedef _Atomic uint16_t *(lifo_next)(void *table, uint16_t index);

static inline uint16_t lifo_index(uint64_t word)
{
	return word & 0xffff;
}

static inline unsigned lifo_word_depth(uint64_t word)
{
	return word >> LIFO_DEPTH_SHIFT & LIFO_DEPTH_MASK;
}

static inline uint64_t lifo_word(uint64_t old, unsigned depth, uint16_t index)
{
	return ((old >> 32) + 1) << 32 | (uint64_t)depth << LIFO_DEPTH_SHIFT | index;
}

/* Returns how many nodes it holds; other threads may change that at once. */
static inline unsigned lifo_depth(struct lifo *lifo)
{
	/* [lifo.word] relaxed: a statistic, or a hint that the compare-and-swap checks again. */
	return lifo_word_depth(atomic_load_explicit(&lifo->word, memory_order_relaxed));
}

/* In a fork's child: empties it. An operation that has read the word and not changed it yet reads it again. */
static inline void lifo_forget(struct lifo *lifo)
{
	/* [lifo.word] relaxed: the child has one thread. */
	uint64_t old = atomic_load_explicit(&lifo->word, memory_order_relaxed);

	atomic_store_explicit(&lifo->word, lifo_word(old, 0, LIFO_NONE), memory_order_relaxed);
}

/* Makes all operations that have read the word and not changed it yet read it again, and see what the caller wrote. */
static inline void lifo_interrupt(struct lifo *lifo)
{
	/* [lifo.word] acq_rel: acquires what threads did that have changed the word; publishes `barred`. */
	atomic_fetch_add_explicit(&lifo->word, 1ull << 32, memory_order_acq_rel);
}

static inline bool lifo_is_barred(const _Atomic uint32_t *barred)
{
	/* [gate.closed] relaxed: behind an acquire of the word; pairs with lifo_interrupt. */
	return barred != NULL && atomic_load_explicit((_Atomic uint32_t *)barred, memory_order_relaxed) != 0;
}

/*
 * Pushes the caller's node `index`. Returns the depth after it; 0, and the node stays the caller's, if there are `limit`
 * nodes already, or if *barred is not 0 (`barred` may be NULL). Counts in *retries, which only the calling thread
 * writes, how often other threads made it repeat.
 */
static inline unsigned lifo_push(struct lifo *lifo, lifo_next *next_of, void *table, uint16_t index,
        unsigned limit, const _Atomic uint32_t *barred, _Atomic uint64_t *retries)
{
	/* [lifo.word] acquire: of `barred`; nothing is read of the old top. */
	uint64_t old = atomic_load_explicit(&lifo->word, memory_order_acquire);
	_Atomic uint16_t *next = next_of(table, index);

	for (;; owner_add(retries, 1)) {
		unsigned depth = lifo_word_depth(old);

		if (depth >= limit || lifo_is_barred(barred))
			return 0;
		/* [lifo.next] relaxed: ordered by the release below; atomic as a slow popper may read it. */
		atomic_store_explicit(next, lifo_index(old), memory_order_relaxed);
		/* [lifo.word] seq_cst: publishes the node to lifo_pop, and see above. Acquire on failure:
		 * `barred`. */
		if (atomic_compare_exchange_weak_explicit(&lifo->word, &old, lifo_word(old, depth + 1, index),
		            memory_order_seq_cst, memory_order_acquire))
			return depth + 1;
	}
}

/*
 * Pops a node, which then belongs to the caller, and sets *depth to the depth after it. Returns LIFO_NONE if the stack is
 * empty, or if *barred is not 0.
 */
static inline uint16_t lifo_pop(struct lifo *lifo, lifo_next *next_of, void *table, unsigned *depth,
        const _Atomic uint32_t *barred, _Atomic uint64_t *retries)
{
	/* [lifo.word] acquire: the top's `next` was written before the push that this reads. */
	uint64_t old = atomic_load_explicit(&lifo->word, memory_order_acquire);

	for (;; owner_add(retries, 1)) {
		uint16_t index = lifo_index(old), next;

		*depth = lifo_word_depth(old);
		if (index == LIFO_NONE || lifo_is_barred(barred))
			return LIFO_NONE;
		/* [lifo.next] relaxed: wrong if the node was popped since; then the tag has changed. */
		next = atomic_load_explicit(next_of(table, index), memory_order_relaxed);
		*depth -= 1;
		/* [lifo.word] acq_rel: see above; pairs also with lifo_interrupt. Acquire on failure: the next
		 * round follows the new top. */
		if (atomic_compare_exchange_weak_explicit(&lifo->word, &old, lifo_word(old, *depth, next),
		            memory_order_acq_rel, memory_order_acquire))
			return index;
	}
}

#endif
