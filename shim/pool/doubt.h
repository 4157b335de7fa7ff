/* SPDX-License-Identifier: MIT */
/*
 * Trust what is counted, not what was attached. Where a program's own function that ends an object has been
 * taken over in one place, a copy of it elsewhere may be what really runs: objects are then made again and again,
 * and none comes back. That shows on misses:
 *
 *	the first 2048 misses		are served by kind->make
 *	of those after, one in 64	is due: the adapter has the program's own create serve it
 *	own create made no object	so objects go back to the program's own pool, past ours: the adapter
 *					withdraws the pool
 *	from then on			every miss is due
 *
 * A program that needs very many objects at once is asked as well, makes one each time, and stays as it is.
 */
#ifndef COPOOL_POOL_DOUBT_H
#define COPOOL_POOL_DOUBT_H

#include "pool/pool.h"

enum { DOUBT_AFTER = 2048, DOUBT_EVERY = 64 };

/* On a miss: whether the program's own create is to serve it. Any thread. */
bool doubt_is_due(struct pool *pool);

/*
 * An object goes to the program's own pool by our leave: for us it is gone. From then on every miss is due, as that
 * pool has something. Any thread.
 */
void doubt_pass_on(struct pool *pool, void *object);

/* The program's own create has made no object. Whether it is one of those: then it counts as made. */
bool doubt_take_back(struct pool *pool, void *object);

/* How many objects have been made so far, by any thread. */
uint64_t doubt_made(const struct pool *pool);

/*
 * The pool's counters mean nothing any more: they read as 0 from now on. What it holds it still hands out. Any
 * thread; once or often.
 */
void pool_withdraw(struct pool *pool);
bool pool_is_withdrawn(const struct pool *pool);

/* Whether one of the pools was withdrawn. Any thread. */
bool pool_any_withdrawn(void);

#endif
