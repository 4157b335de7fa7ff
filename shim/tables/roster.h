/* SPDX-License-Identifier: MIT */
/*
 * A list that only grows. Readers take no lock. A writer tries to begin, and gives up if another thread is adding. The
 * entries are in an array of the owner; this is only how many of them are complete.
 */
#ifndef COPOOL_TABLES_ROSTER_H
#define COPOOL_TABLES_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>

/* Zeroed, it is empty. */
struct roster {
	_Atomic unsigned count;
	_Atomic bool is_growing; /* held from roster_begin to roster_end */
};

/* Returns how many entries are complete. */
static inline unsigned roster_count(const struct roster *roster)
{
	/* [roster.count] acquire: the entries before it; pairs with roster_end. */
	return atomic_load_explicit((_Atomic unsigned *)&roster->count, memory_order_acquire);
}

/* Begins to add. Returns false if another thread is adding. The entries added before are visible. */
static inline bool roster_begin(struct roster *roster)
{
	/* [roster.is_growing] acquire: pairs with the release in roster_end. */
	return !atomic_exchange_explicit(&roster->is_growing, true, memory_order_acquire);
}

/* Ends adding; `count` entries are complete now. */
static inline void roster_end(struct roster *roster, unsigned count)
{
	/* [roster.count] release: publishes the entries to roster_count. */
	atomic_store_explicit(&roster->count, count, memory_order_release);
	/* [roster.is_growing] release: pairs with roster_begin. */
	atomic_store_explicit(&roster->is_growing, false, memory_order_release);
}

/* In a fork's child: a thread that was adding does not exist. */
static inline void roster_fork_child(struct roster *roster)
{
	/* [roster.is_growing] relaxed: the child has one thread. Read first: a write would unshare the page. */
	if (atomic_load_explicit(&roster->is_growing, memory_order_relaxed))
		atomic_store_explicit(&roster->is_growing, false, memory_order_relaxed);
}

#endif
