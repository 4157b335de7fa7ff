/* SPDX-License-Identifier: MIT */
/*
 * One run of a program, measured: by its statistics log, by the system, and by how it ended. All runs have the same
 * surroundings: their output is a file, and they write their own log.
 */
#ifndef COPOOL_TOOLS_COMPARE_TRIAL_H
#define COPOOL_TOOLS_COMPARE_TRIAL_H

#include <stdbool.h>

#include "compare/stage.h"

/*
 * What is measured, NAN if not known. verdict_rate() computes the rate of misses. X(name, word in JSON, words in the
 * table)
 */
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
	bool has_adapter;  /* something with coroutines was found in the program */
	bool has_own_pool; /* the program has its own pool: the log does not have the calls saved */
	double calls_made; /* but the system calls for coroutines, made with either pool */
	char reason[TRIAL_REASON_BYTES]; /* why there is none, as the log says; "" if it says nothing */
};

/*
 * Runs the stage's program once, with its output to the stage's file; `mode` is a word of COPOOL_MODE. Returns 0; or
 * -errno: -EINTR if copool was asked to end, -ECHILD if processes that the program started do not end.
 */
int trial_run(struct stage *stage, const char *mode, struct trial *trial);

#endif
