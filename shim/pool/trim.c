/* SPDX-License-Identifier: MIT */
#include "pool/trim.h"

#include <string.h>

enum { LATE_STEPS = 2 };

/* The end of the first whole step from now. */
static uint64_t first_end(unsigned step_ms, uint64_t now_ms)
{
	return (now_ms + 2 * step_ms - 1) / step_ms * step_ms;
}

/* Batches that lay in the depot all through the last window, and are not kept for the next one. */
static unsigned trim_spare(const struct trim *trim)
{
	unsigned spare = trim->low[0], kept = trim->quiet < TRIM_STEPS ? TRIM_KEPT : 0;

	for (unsigned i = 1; i < TRIM_STEPS; i++) {
		if (trim->low[i] < spare)
			spare = trim->low[i];
	}
	return spare > kept ? spare - kept : 0;
}

/* Ends a step whose lowest level was `low` and whose last is `depth`. Returns how many batches go. */
static unsigned end_step(struct trim *trim, unsigned low, unsigned depth)
{
	unsigned release;

	trim->quiet = low == trim->level && depth == trim->level ? trim->quiet + 1 : 0;
	trim->low[trim->step] = low;
	trim->step = (trim->step + 1) % TRIM_STEPS;
	release = (trim_spare(trim) + 1) / 2;
	/* As if what goes now had never been there. */
	for (unsigned i = 0; i < TRIM_STEPS; i++)
		trim->low[i] -= release;
	trim->level = depth - release;
	return release;
}

unsigned trim_advance(struct trim *trim, struct depot *depot, unsigned decay_ms, uint64_t now_ms)
{
	unsigned step_ms = decay_ms / TRIM_STEPS, low, depth, release = 0;
	uint64_t ended;

	if (trim->next_ms == 0 || depot_depth(depot) == 0) {
		trim_begin_again(trim, depot);
		trim->next_ms = trim->level > 0 ? first_end(step_ms, now_ms) : 0;
		return 0;
	}
	/* The window was made shorter. */
	if (trim->next_ms > first_end(step_ms, now_ms))
		trim->next_ms = first_end(step_ms, now_ms);
	if (now_ms < trim->next_ms)
		return 0;
	ended = (now_ms - trim->next_ms) / step_ms + 1;
	trim->next_ms += ended * step_ms;
	low = depot_restart_low(depot);
	depth = depot_depth(depot);
	/* A process that was stopped for an hour may need its pool all the same. */
	for (unsigned i = 0; i < ended && i < LATE_STEPS; i++)
		release += end_step(trim, low - release, depth - release);
	return release;
}

unsigned trim_hurry(struct depot *depot, bool is_new)
{
	unsigned low = depot_restart_low(depot);

	return is_new ? depot_depth(depot) : low;
}

void trim_begin_again(struct trim *trim, struct depot *depot)
{
	memset(trim->low, 0, sizeof trim->low);
	trim->quiet = 0;
	depot_restart_low(depot);
	trim->level = depot_depth(depot);
}
