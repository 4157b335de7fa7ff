/* SPDX-License-Identifier: MIT */
/*
 * What the host's own functions made and destroyed, counted off the fast path. A pool that only observes
 * (pool_kind.is_observed) holds nothing, and counts besides how many creates there were:
 *
 *	creates - made = those that the host served by its own means, without making an object
 *
 * Any thread; errno survives.
 */
#ifndef COPOOL_POOL_TALLY_H
#define COPOOL_POOL_TALLY_H

#include "pool/pool.h"

/* An object was made. */
void tally_made(struct pool *pool, void *object);

/* An object is destroyed; one that was idle is trimmed. */
void tally_gone(struct pool *pool, void *object);
void tally_trimmed(struct pool *pool);

/* Where the host has a pool of its own: it would have made so many system calls. */
void tally_saved(struct pool *pool, uint64_t calls);

/*
 * For a pool that only observes: the host was asked for an object. Counted after tally_made, if one was made for it:
 * whoever sees this create sees that as well, so no object is ever taken for one that the host had.
 */
void tally_create(struct pool *pool);

/* Turns what a pool that only observes has counted into what the log says; see copool-log(5). */
void tally_explain(struct pool_stats *stats);

#endif
