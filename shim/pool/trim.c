/* The arithmetic of the sliding window. */
#include "pool/trim.h"

#include <string.h>

/* Begins a window with nothing known to be spare, or none while the depot is empty. */
static void trim_start(struct trim *trim, struct depot *depot, uint64_t next_ms)
{
	memset(trim, 0, sizeof *trim);
	depot_restart_low(depot);
	trim->level = depot_depth(depot);
	if (trim->level > 0)
		trim->next_ms = next_ms;
}

/* What was there through all of the last window, and need not stay for the next one. */
static unsigned trim_spare(const struct trim *trim)
{
	unsigned spare = trim->low[0], kept = trim->quiet < TRIM_STEPS ? TRIM_KEPT : 0;

	for (unsigned i = 1; i < TRIM_STEPS; i++) {
		if (trim->low[i] < spare)
			spare = trim->low[i];
	}
	return spare > kept ? spare - kept : 0;
}

unsigned trim_advance(struct trim *trim, struct depot *depot, unsigned window_ms, uint64_t now_ms)
{
	unsigned step_ms = window_ms / TRIM_STEPS, low, depth, release;

	if (trim->next_ms == 0 || depot_depth(depot) == 0) {
		trim_start(trim, depot, now_ms + step_ms);
		return 0;
	}
	/* The window has become shorter. */
	if (trim->next_ms > now_ms + step_ms)
		trim->next_ms = now_ms + step_ms;
	if (now_ms < trim->next_ms)
		return 0;
	trim->next_ms = now_ms + step_ms;
	low = depot_restart_low(depot);
	depth = depot_depth(depot);
	trim->quiet = low == trim->level && depth == trim->level ? trim->quiet + 1 : 0;
	trim->low[trim->step] = low;
	trim->step = (trim->step + 1) % TRIM_STEPS;
	release = (trim_spare(trim) + 1) / 2;
	/* The past, as it would have been without what goes now. */
	for (unsigned i = 0; i < TRIM_STEPS; i++)
		trim->low[i] -= release;
	trim->level = depth - release;
	return release;
}
