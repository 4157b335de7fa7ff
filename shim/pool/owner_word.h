/* SPDX-License-Identifier: MIT */
/*
 * Words that only one thread, the owner, changes, and others read. Each change is one instruction, so a signal handler
 * of the owner sees the word before or after it. No lock prefix is needed. Other processors and ThreadSanitizer, which
 * must see the change, get an atomic operation instead.
 */
#ifndef COPOOL_POOL_OWNER_WORD_H
#define COPOOL_POOL_OWNER_WORD_H

#include <stdatomic.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OWNER_WORD_BY_ATOMIC 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define OWNER_WORD_BY_ATOMIC 1
#endif

static inline void owner_add(_Atomic uint64_t *word, unsigned amount)
{
#ifdef OWNER_WORD_BY_ATOMIC
	/* [counter] release: after what its thread changed before, as on x86; pairs with counter_read. */
	atomic_fetch_add_explicit(word, amount, memory_order_release);
#else
	__asm__ volatile("addq %1, %0" : "+m"(*word) : "er"((uint64_t)amount) : "cc");
#endif
}

/* The same for a word that counts up and down. */
static inline void owner_move(_Atomic uint32_t *word, int amount)
{
#ifdef OWNER_WORD_BY_ATOMIC
	/* [gate.inside] release: after what was done inside; pairs with gate_wait. */
	atomic_fetch_add_explicit(word, (uint32_t)amount, memory_order_release);
#else
	__asm__ volatile("addl %1, %0" : "+m"(*word) : "ri"(amount) : "memory", "cc");
#endif
}

/* Replaces the value `from` by `to`; leaves any other value. */
static inline void owner_replace(_Atomic int64_t *word, int64_t from, int64_t to)
{
#ifdef OWNER_WORD_BY_ATOMIC
	/* [cache.top] release: as cache_open. */
	atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_release, memory_order_relaxed);
#else
	__asm__ volatile("cmpxchgq %2, %1" : "+a"(from), "+m"(*word) : "r"(to) : "memory", "cc");
#endif
}

/* Adds `amount` and returns what was there before; nothing that follows moves before it. */
static inline int64_t owner_exchange_add(_Atomic int64_t *word, int64_t amount)
{
#ifdef OWNER_WORD_BY_ATOMIC
	/* [cache.top] acquire: keeps what follows after it; pairs with no other thread. */
	return atomic_fetch_add_explicit(word, amount, memory_order_acquire);
#else
	__asm__ volatile("xaddq %0, %1" : "+r"(amount), "+m"(*word) : : "memory", "cc");
	return amount;
#endif
}

#endif
