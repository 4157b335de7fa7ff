/* SPDX-License-Identifier: MIT */
/*
 * A slice: one pattern, run once by so many threads at a contender, timed by each thread itself. It is a few
 * milliseconds long, so that many of them are never interrupted; who was is known by its processor time.
 */
#ifndef COPOOL_BENCH_SLICE_H
#define COPOOL_BENCH_SLICE_H

#include "pools.h"

enum { THREADS_MOST = 256, IDLE_MOST = 1024 };

struct order {
	uint32_t pattern;
	uint32_t is_called;
	uint32_t threads;
	uint32_t idle;  /* more threads that use the pool once and then sleep */
	uint64_t pairs; /* that each thread does */
	uint64_t wide;  /* for SAW_WIDE */
};

struct answer {
	double ns;           /* a pair, wall time: the mean over the threads */
	double processor;    /* the least part of its wall time that a thread was on a processor */
	uint64_t operations; /* of the depot in that time; `pools-count` only */
	uint64_t held;       /* objects that existed in the end; `pools-count` only */
	uint64_t resident;   /* KiB, of the whole process */
};

/* Runs a slice; false: there were not enough threads, or no memory. */
bool slice_run(const struct contender *contender, const struct order *order, struct answer *answer);

/* Brings one lane of this thread to where the pattern begins, and runs it for a while. */
void slice_warm(const struct contender *contender, const struct order *order, struct lane *lane);
struct lane *slice_lane(unsigned number, uint64_t wide);
void slice_run_lane(
        const struct contender *contender, const struct order *order, struct lane *lane, uint64_t pairs);

#endif
