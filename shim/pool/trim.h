/* SPDX-License-Identifier: MIT */
/*
 * How much of a depot to give back. What lay in it all through the last window, its lowest level, was needed by nobody
 * (Bonwick's working set). The window slides in eighths, and after each eighth half of what is spare goes. So a burst's
 * objects are gone soon after the first whole window without a burst, and the cost is spread.
 *
 * A busy program may reach its highest peak less than once a window: a machine with two disks and 128 requests on each
 * reached it once in 40 s. So while a depot is in use, TRIM_KEPT batches more than the window needed stay.
 */
#ifndef COPOOL_POOL_TRIM_H
#define COPOOL_POOL_TRIM_H

#include "pool/depot.h"

#include <stdbool.h>

enum {
	TRIM_STEPS = 8,
	TRIM_KEPT = 16, /* batches, 256 objects */
};

/* One pool's window; written by the statistics thread only. All zero: it does not run. */
struct trim {
	uint64_t next_ms;         /* when the current step ends, by the caller's clock; 0: it does not run */
	unsigned low[TRIM_STEPS]; /* lowest level of the depot in each of the last steps, in batches */
	unsigned step;            /* the current one's index in low[] */
	unsigned level;           /* of the depot, when the current step began */
	unsigned quiet;           /* steps in a row in which no batch was seen to come or go */
};

/*
 * Ends a step if it is over. Returns how many batches to give back now, which the caller must do at once. `decay_ms` is
 * the whole window's length, not 0. Steps end at multiples of their length, so those of all pools end together; a call may
 * be late by up to a step.
 */
unsigned trim_advance(struct trim *trim, struct depot *depot, unsigned decay_ms, uint64_t now_ms);

/*
 * Memory is short. Returns how many batches to give back now: all, or, unless this `is_new`, those that nobody needed since
 * the last call of either function. After that the caller must call trim_begin_again.
 */
unsigned trim_hurry(struct depot *depot, bool is_new);

/* Begins a new window that knows nothing of the past. */
void trim_begin_again(struct trim *trim, struct depot *depot);

#endif
