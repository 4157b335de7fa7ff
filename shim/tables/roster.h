/* SPDX-License-Identifier: MIT */
/*
 * A list that only grows: readers take no lock, and who wants to add tries, and goes without when another
 * thread is adding just now. The entries are the owner's array; here is only how many of them are complete.
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

/* How many entries are complete. */
static inline unsigned roster_count(const struct roster *roster)
{
	/* [roster.count] acquire: the entries before it; pairs with roster_end. */
	return atomic_load_explicit((_Atomic unsigned *)&roster->count, memory_order_acquire);
}

/* Begins to add; false when another thread is at it. What was added before is seen. */
static inline bool roster_begin(struct roster *roster)
{
	/* [roster.is_growing] acquire: pairs with the release in roster_end. */
	return !atomic_exchange_explicit(&roster->is_growing, true, memory_order_acquire);
}

/* Ends it; there are `count` complete entries now. */
static inline void roster_end(struct roster *roster, unsigned count)
{
	/* [roster.count] release: publishes the entries to roster_count. */
	atomic_store_explicit(&roster->count, count, memory_order_release);
	/* [roster.is_growing] release: pairs with roster_begin. */
	atomic_store_explicit(&roster->is_growing, false, memory_order_release);
}

/* In a fork's child: who was adding is not there. */
static inline void roster_fork_child(struct roster *roster)
{
	/* [roster.is_growing] relaxed: the child has one thread. Most often nothing is written, and the page stays shared. */
	if (atomic_load_explicit(&roster->is_growing, memory_order_relaxed))
		atomic_store_explicit(&roster->is_growing, false, memory_order_relaxed);
}

#endif
