/* SPDX-License-Identifier: MIT */
/*
 * Replays the demand in a log against other settings: the depot with its cap, and the trimming of
 * shim/pool/trim.c. All amounts are numbers of objects, and may be fractions.
 *
 *	in use + depot = objects
 *	demand: in use, that is, in the program's hands or in a thread's cache. No setting changes it.
 *
 * If use rises above the objects that exist, the difference is misses; if it falls, objects beyond the depot's cap
 * are destroyed.
 */
#ifndef COPOOL_TOOLS_JUDGE_SIMULATE_H
#define COPOOL_TOOLS_JUDGE_SIMULATE_H

#include <stddef.h>

enum {
	SIMULATE_STEPS = 8, /* of a window of the trimming */
	SIMULATE_KEPT = 16, /* batches that a depot in use keeps beyond what the window needed */
};

/* A stretch of time, from one sample to the next. */
struct demand_step {
	float ms;
	float begin, end;  /* in use at both samples */
	float most, least; /* in between */
	float rise;        /* the sum of all rises, however often it fell in between */
};

struct tuning {
	unsigned max_batches;
	unsigned decay_ms; /* 0: never */
};

struct outcome {
	double misses;
	double idle;      /* in the depot, the mean over time */
	double idle_most; /* at any time */
	double trimmed;
};

/* `objects`: how many exist when the first step begins. */
void simulate(const struct demand_step *step, size_t steps, double objects, const struct tuning *setting,
        struct outcome *outcome);

#endif
