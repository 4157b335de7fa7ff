/* SPDX-License-Identifier: MIT */
/*
 * A lock-free stack of small integers: many pushers, many poppers, nobody waits for anybody. It holds indices
 * 1 .. 65535 of nodes in a table that is never unmapped; `next` of each node lies in that table. Not strictly
 * LIFO as seen from outside: an operation takes effect at its compare-and-swap.
 *
 *	word = | tag 32 | depth 16 | index of the top 16 |	one compare-and-swap changes all three
 *
 * The idea is Treiber's stack with an ABA counter (IBM, 1986). The tag counts operations, so a popper that
 * read a stale `next` fails its compare-and-swap; it would be fooled only if it slept over an exact multiple
 * of 2^32 operations that left equal index and depth. The depth rides along to make a cap exact.
 *
 * Synchronization:
 *	push  seq_cst  publishes the node's contents           pairs with pop's acquire   [lifo.word]
 *	pop   acq_rel  sees the contents; and as every change of the word is a read-modify-write, each of
 *	               them continues the release sequence of all pushes before it: a pop also sees what
 *	               pushers deeper in the stack have published. Release: that the popper is inside, which
 *	               lifo_interrupt's caller looks for.
 *	A push also takes its place in the one order of all sequentially consistent operations: who then reads
 *	that somebody sleeps, and who looks at the stack before he sleeps, cannot both miss the other.
 *
 * Both can be barred, by a word that somebody else sets before he calls lifo_interrupt: an operation that has
 * not succeeded by then sees the word, and gives up.
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

/* How many nodes it holds; out of date as soon as it is known. */
static inline unsigned lifo_depth(struct lifo *lifo)
{
	/* [lifo.word] relaxed: a statistic, or a hint that the compare-and-swap checks again. */
	return lifo_word_depth(atomic_load_explicit(&lifo->word, memory_order_relaxed));
}

/* In a fork's child: holds nothing from now on; whoever has read the word, and not changed it yet, reads it again. */
static inline void lifo_forget(struct lifo *lifo)
{
	/* [lifo.word] relaxed: the child has one thread. */
	uint64_t old = atomic_load_explicit(&lifo->word, memory_order_relaxed);

	atomic_store_explicit(&lifo->word, lifo_word(old, 0, LIFO_NONE), memory_order_relaxed);
}

/* Has everybody who has read the word and not changed it yet read it again, and see what the caller wrote. */
static inline void lifo_interrupt(struct lifo *lifo)
{
	/* [lifo.word] acq_rel: before it all that those did who have changed the word, after it `barred`. */
	atomic_fetch_add_explicit(&lifo->word, 1ull << 32, memory_order_acq_rel);
}

static inline bool lifo_is_barred(const _Atomic uint32_t *barred)
{
	/* [gate.closed] relaxed: behind an acquire of the word; pairs with lifo_interrupt. */
	return barred != NULL && atomic_load_explicit((_Atomic uint32_t *)barred, memory_order_relaxed) != 0;
}

/*
 * Pushes node `index`, which belongs to the caller until then, unless `limit` nodes are there already or
 * *barred is not 0 (NULL: never); then returns 0 and the node stays the caller's. Else returns the depth that
 * it left. Counts in *retries, which only the caller writes, how often other threads made it repeat.
 */
static inline unsigned lifo_push(struct lifo *lifo, lifo_next *next_of, void *table, uint16_t index,
        unsigned limit, const _Atomic uint32_t *barred, _Atomic uint64_t *retries)
{
	/* [lifo.word] acquire: not of the old top, of which nothing is read, but of `barred`. */
	uint64_t old = atomic_load_explicit(&lifo->word, memory_order_acquire);
	_Atomic uint16_t *next = next_of(table, index);

	for (;; single_add(retries, 1)) {
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
 * Pops a node, which then belongs to the caller, and stores the depth that it left in *depth. LIFO_NONE: it
 * is empty, or *barred is not 0.
 */
static inline uint16_t lifo_pop(struct lifo *lifo, lifo_next *next_of, void *table, unsigned *depth,
        const _Atomic uint32_t *barred, _Atomic uint64_t *retries)
{
	/* [lifo.word] acquire: the top's `next` was written before the push that this reads. */
	uint64_t old = atomic_load_explicit(&lifo->word, memory_order_acquire);

	for (;; single_add(retries, 1)) {
		uint16_t index = lifo_index(old), next;

		*depth = lifo_word_depth(old);
		if (index == LIFO_NONE || lifo_is_barred(barred))
			return LIFO_NONE;
		/* [lifo.next] relaxed: stale if the node was popped meanwhile; then the tag has moved on. */
		next = atomic_load_explicit(next_of(table, index), memory_order_relaxed);
		*depth -= 1;
		/* [lifo.word] acq_rel: sees the node's contents as lifo_push published them; pairs with
		 * lifo_interrupt as well, behind which gate.inside is read. Acquire on failure, since the
		 * next round follows the new top. */
		if (atomic_compare_exchange_weak_explicit(&lifo->word, &old, lifo_word(old, *depth, next),
		            memory_order_acq_rel, memory_order_acquire))
			return index;
	}
}

#endif
