/* SPDX-License-Identifier: MIT */
/*
 * One run of a program, measured: what the statistics log says of it, what the system says of it, and how it
 * ended. All runs get the same: an output that is a file, a log of their own, and nothing else of ours.
 */
#ifndef COPOOL_TOOLS_COMPARE_TRIAL_H
#define COPOOL_TOOLS_COMPARE_TRIAL_H

#include <stdbool.h>

#include "compare/stage.h"

/* What is measured, each NAN where it is not known; the rate of misses is made from it: see verdict.h. X(word
 * in JSON, words in the table) */
#define TRIAL_METRICS(X)                                                                                     \
	X(CREATES, "creates", "creates")                                                                     \
	X(NEW, "new", "new")                                                                                 \
	X(MISS_RATE, "miss_rate", "misses")                                                                  \
	X(PEAK_OBJECTS, "peak_objects", "most objects")                                                      \
	X(MAPS, "peak_maps", "most memory maps")                                                             \
	X(RESIDENT, "peak_resident_kib", "most resident memory")                                             \
	X(CALLS_SAVED, "calls_saved", "system calls saved")                                                  \
	X(WALL, "wall_s", "wall time")                                                                       \
	X(CPU, "cpu_s", "CPU time")

enum trial_metric {
#define METRIC(name, json, words) TRIAL_##name,
	TRIAL_METRICS(METRIC)
#undef METRIC
	        TRIAL_METRIC_COUNT
};

enum { TRIAL_REASON_BYTES = 512 };

struct trial {
	double value[TRIAL_METRIC_COUNT];
	int status;        /* as from wait4(2) */
	bool has_host;     /* something with coroutines was found in the program */
	bool has_own_pool; /* the program has a pool of its own: what is saved is not in the log */
	double calls_made; /* … but so many system calls for coroutines, made with either pool */
	char reason[TRIAL_REASON_BYTES]; /* why not, as the log says; "" when it has, or says nothing */
};

/*
 * Runs the stage's program once; `mode` is a word of COPOOL_MODE. What it said lies in the stage's output
 * then. 0; or -errno: -EINTR when we were asked to end, -ECHILD when processes that it started go on.
 */
int trial_run(struct stage *stage, const char *mode, struct trial *trial);

#endif
