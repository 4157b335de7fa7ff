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

enum {
	TRIM_STEPS = 8,
	TRIM_KEPT = 16, /* batches, 256 objects */
};

/* One pool's window; written by the statistics thread only. All zero: it stands still. */
struct trim {
	uint64_t next_ms;         /* when the current step ends, CLOCK_MONOTONIC; 0: it stands still */
	unsigned low[TRIM_STEPS]; /* lowest level of the depot in each of the last steps, in batches */
	unsigned step;            /* where the current one goes */
	unsigned level;           /* of the depot, when the current step began */
	unsigned quiet;           /* steps in a row in which nobody took or put a batch, as far as seen */
};

/*
 * Moves the window on if a step has ended. Returns how many batches to give back now, which the caller does
 * at once. `window_ms` is the whole window's length, not 0.
 */
unsigned trim_advance(struct trim *trim, struct depot *depot, unsigned window_ms, uint64_t now_ms);

#endif
