/* SPDX-License-Identifier: MIT */
/*
 * The start of all pools, and what one thread, the statistics thread, does for them from then on: it gives back what
 * nobody needs (trim.h says how much), does what was asked for from outside (control.h), and relieves the system when
 * memory is short.
 */
#ifndef COPOOL_POOL_UPKEEP_H
#define COPOOL_POOL_UPKEEP_H

#include <stdbool.h>

enum { POOL_ASK_MS = 1000 }; /* while something lies in a depot, it is looked at every 1 to 2 times so long */

/*
 * Called once, before any pool is started. Idle objects that nobody needed for `decay_ms` are given back; 0: never.
 * `wake` is called when trimming may have to begin, after a sequentially consistent change of a depot, and when a
 * thread uses a pool for the first time, also after a fork: by any thread, within its create or destroy.
 * Returns 0, or -errno: then threads have no caches, and all of them share the depot.
 */
int pools_init(unsigned decay_ms, void (*wake)(void));

/*
 * Does the trimming that is due on all pools, and what is asked for. Returns the milliseconds after which it wants to
 * be called again, UINT_MAX for not before the next `wake`. One thread.
 */
unsigned pool_trim_tick(void);

/* By how many milliseconds such a call may be late, where that saves a wake-up. */
unsigned pool_trim_patience(void);

/* Whether pool_trim_tick would give anything back, sooner or later. */
bool pool_has_spare(void);

/*
 * Memory is short. Gives back all that lies in the depots; or, unless this `is_new`, what nobody needed since the last
 * call. The thread of pool_trim_tick.
 */
void pool_relieve(bool is_new);

#endif
