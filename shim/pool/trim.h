/* SPDX-License-Identifier: MIT */
/*
 * Giving back what nobody needs. The lowest level of the depot over the last window was needed by nobody
 * (Bonwick's working set), so that much can go. The window slides in eighths, and each eighth gives back half
 * of what is spare: a burst's objects are gone soon after the first whole window without it, but no single
 * moment carries all the cost.
 *
 * A busy program's highest peak is rarer than a window is long: a machine with two disks and 128 requests on
 * each reached it once in 40 s. So while a depot is in use, TRIM_KEPT batches more than the window needed
 * stay.
 */
#ifndef COPOOL_POOL_TRIM_H
#define COPOOL_POOL_TRIM_H

#include "pool/depot.h"

#include <stdbool.h>

enum {
	TRIM_STEPS = 8,
	TRIM_KEPT = 16, /* batches, 256 objects */
};

/* One pool's window; written by the statistics thread only. All zero: it stands still. */
struct trim {
	uint64_t next_ms;         /* when the current step ends, by the caller's clock; 0: it stands still */
	unsigned low[TRIM_STEPS]; /* lowest level of the depot in each of the last steps, in batches */
	unsigned step;            /* where the current one goes */
	unsigned level;           /* of the depot, when the current step began */
	unsigned quiet;           /* steps in a row in which nobody took or put a batch, as far as seen */
};

/*
 * Moves the window on if a step has ended. Returns how many batches to give back now, which the caller does
 * at once. `window_ms` is the whole window's length, not 0. Steps end at whole multiples of their length, so
 * that all pools' do so together; a call may come later than that, by up to a step.
 */
unsigned trim_advance(struct trim *trim, struct depot *depot, unsigned window_ms, uint64_t now_ms);

/*
 * Memory is short. Returns how many batches to give back now: all, or, unless this `is_new`, those that
 * nobody needed since the last call of either function. When they have been given back, trim_begin_again is
 * to be called.
 */
unsigned trim_hurry(struct depot *depot, bool is_new);

/* What was needed in the past counts no more. */
void trim_begin_again(struct trim *trim, struct depot *depot);

#endif
