/* SPDX-License-Identifier: MIT */
/*
 * Changing a word that has one writer by one instruction, so that a signal handler of the same thread sees it
 * before or after, never in between. No lock prefix: other threads only read. Where that cannot be had (other
 * processors, ThreadSanitizer, which must see it) an atomic operation does the same.
 */
#ifndef COPOOL_POOL_OWNER_WORD_H
#define COPOOL_POOL_OWNER_WORD_H

#include <stdatomic.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SINGLE_BY_ATOMIC 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define SINGLE_BY_ATOMIC 1
#endif

static inline void single_add(_Atomic uint64_t *word, unsigned amount)
{
#ifdef SINGLE_BY_ATOMIC
	/* [counter] release: behind what its thread changed before, as x86's does; pairs with counter_read. */
	atomic_fetch_add_explicit(word, amount, memory_order_release);
#else
	__asm__ volatile("addq %1, %0" : "+m"(*word) : "er"((uint64_t)amount) : "cc");
#endif
}

/* The same, of a word that counts up and down; `amount` may be below 0. */
static inline void single_move(_Atomic uint32_t *word, int amount)
{
#ifdef SINGLE_BY_ATOMIC
	/* [gate.inside] release: what was done before; pairs with gate_wait. */
	atomic_fetch_add_explicit(word, (uint32_t)amount, memory_order_release);
#else
	__asm__ volatile("addl %1, %0" : "+m"(*word) : "ri"(amount) : "memory", "cc");
#endif
}

/* Makes of `from` what shall be there instead; leaves any other value as it is. */
static inline void single_replace(_Atomic int64_t *word, int64_t from, int64_t to)
{
#ifdef SINGLE_BY_ATOMIC
	/* [cache.top] release: as cache_open. */
	atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_release, memory_order_relaxed);
#else
	__asm__ volatile("cmpxchgq %2, %1" : "+a"(from), "+m"(*word) : "r"(to) : "memory", "cc");
#endif
}

/* Adds `amount` and returns what was there before; nothing that follows moves before it. */
static inline int64_t single_exchange_add(_Atomic int64_t *word, int64_t amount)
{
#ifdef SINGLE_BY_ATOMIC
	/* [cache.top] acquire: keeps what follows behind it; pairs with no other thread. */
	return atomic_fetch_add_explicit(word, amount, memory_order_acquire);
#else
	__asm__ volatile("xaddq %0, %1" : "+r"(amount), "+m"(*word) : : "memory", "cc");
	return amount;
#endif
}

#endif
