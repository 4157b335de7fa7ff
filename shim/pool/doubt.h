/* SPDX-License-Identifier: MIT */
/*
 * Whether objects really come back to a pool. An adapter has taken over a program's function that ends objects; but a copy
 * of it elsewhere may be what runs. Then objects are made again and again, and none comes back. This is found on misses:
 *
 *	the first 2048 misses		are served by kind->make
 *	of the later ones, one in 64	is due: the adapter lets the program's own create serve it
 *	that made no object		so objects go to the program's own pool, not to ours: the adapter withdraws
 *					the pool
 *	from then on			every miss is due
 *
 * A program that needs very many objects at once makes one each time that it is asked, and its pool stays.
 */
#ifndef COPOOL_POOL_DOUBT_H
#define COPOOL_POOL_DOUBT_H

#include "pool/pool.h"

enum { DOUBT_AFTER = 2048, DOUBT_EVERY = 64 };

/* On a miss: whether the program's own create is to serve it. Any thread. */
bool doubt_is_due(struct pool *pool);

/*
 * The adapter gives an object to the program's own pool: it counts as destroyed. From then on every miss is due, because
 * that pool has something. Any thread.
 */
void doubt_pass_on(struct pool *pool, void *object);

/* The program's own create has made no object. Returns whether it took one of those: then that counts as made. */
bool doubt_take_back(struct pool *pool, void *object);

/* How many objects have been made so far, by any thread. */
uint64_t doubt_made(const struct pool *pool);

/*
 * The pool's counters are worthless: they read as 0 from now on. The pool still gives out what it holds. Any thread; may be
 * called again.
 */
void pool_withdraw(struct pool *pool);
bool pool_is_withdrawn(const struct pool *pool);

/* Whether any pool was withdrawn. Any thread. */
bool pool_any_withdrawn(void);

#endif
