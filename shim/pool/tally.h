/* SPDX-License-Identifier: MIT */
/*
 * Makes and destroys objects by the kind's functions, counts those that the program's own functions made and destroyed,
 * and tells the observer what becomes of them; all off the fast path. A pool that only observes (pool_kind.is_observed) holds nothing, and also counts how many creates there
 * were:
 *
 *	creates - made = those that the program served by its own means, without making an object
 *
 * Any thread; errno survives.
 */
#ifndef COPOOL_POOL_TALLY_H
#define COPOOL_POOL_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct pool;

/*
 * Is told what becomes of objects, by the thread that creates or destroys, within that, with no lock of ours held. It
 * must leave errno alone. Objects that are parts of another pool's (pool_kind.is_part) are not told of.
 */
struct pool_observer {
	/* The program gets an object: a new one, which is a miss; or, if `sees_all`, an idle one. */
	void (*created)(struct pool *pool, void *object, bool is_miss);
	/* The program gives an object back: told if `sees_all`, perhaps twice for one object. */
	void (*destroyed)(struct pool *pool, void *object);
	bool sees_all; /* threads get no caches, so that every create and destroy is a slow path */
};

/* Sets the observer, of which there is one at most. It must stay valid. Called once, before pools_init. */
void observer_set(const struct pool_observer *observer);
bool observer_sees_all(void);

/* An object was made. */
void tally_made(struct pool *pool, void *object);

/* An object is destroyed. */
void tally_gone(struct pool *pool, void *object);

/* The program gets an idle object that no cache held, or gives one back that no cache takes. Told, not counted. */
void tally_taken(struct pool *pool, void *object);
void tally_back(struct pool *pool, void *object);

/* If the program has a pool of its own: it would have made so many system calls. */
void tally_saved(struct pool *pool, uint64_t calls);

/* So many were made that it would not have made without the pool: less was saved. */
void tally_spent(struct pool *pool, uint64_t calls);

/*
 * For a pool that only observes: the program was asked for an object. Call it after tally_made, if an object was made
 * for it: a reader that sees this create then sees that object too, and takes none for one that the program had.
 */
void tally_create(struct pool *pool);

/* Makes an object by the kind's function; counted. */
void *pool_make(struct pool *pool);

/* Destroys a live object by the kind's function; counted. */
void pool_destroy(struct pool *pool, void *object);

/* The same for an idle object that is given back to the system; counts as trimmed. */
void pool_give_back(struct pool *pool, void *object);

#endif
