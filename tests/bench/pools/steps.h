/* SPDX-License-Identifier: MIT */
/*
 * Counting instructions exactly: a contender's process is run one instruction at a time while it does a few
 * hundred pairs. No clock, no sampling, no other machine's figures: the same program gives the same count.
 */
#ifndef COPOOL_BENCH_STEPS_H
#define COPOOL_BENCH_STEPS_H

#include "slice.h"

/* Of one function, from its entry, jumps of a patch included, to its return. */
struct step_counts {
	unsigned long calls, instructions, system_calls;
	unsigned long least, most; /* instructions of one call: the fast path, and the slowest */
};

struct steps {
	struct step_counts take, put;
	double pair; /* instructions of a whole pair and of the loop around it, inlined */
};

enum { STEPS_PAIRS = 128 }; /* what a child does between its two marks */

/* `program` steps `name`…: traced; false: it could not be, and `errno` says why. */
bool steps_count(struct steps *steps, const char *program, const char *name, const char *preload,
        enum pattern pattern, bool is_called);

/* The traced process: stops itself, works, stops itself. */
int steps_child(const struct contender *contender, enum pattern pattern, bool is_called);

#endif
