/* SPDX-License-Identifier: MIT */
/* All runs of one kind, without the pool or with it: their medians, and how they ended. */
#ifndef COPOOL_TOOLS_COMPARE_SIDES_H
#define COPOOL_TOOLS_COMPARE_SIDES_H

#include "compare/trial.h"

enum { SIDE_STATUS_BYTES = 80 };

struct side {
	const struct trial *trial;
	unsigned runs; /* at least 1 */
};

struct spread {
	double median, low, high; /* NAN when no run knew it */
};

struct spread side_spread(const struct side *side, enum trial_metric metric);

/* How many runs did not end with exit status 0. */
unsigned side_failures(const struct side *side);

/* Writes how the runs ended: "0", "SIGABRT", "1 in 2 of 5 runs". `text` has SIDE_STATUS_BYTES. */
void side_status(const struct side *side, char *text);

#endif
