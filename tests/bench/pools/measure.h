/* SPDX-License-Identifier: MIT */
/* Taking times: entrants in turns, many short slices, those that were interrupted thrown away. */
#ifndef COPOOL_BENCH_MEASURE_H
#define COPOOL_BENCH_MEASURE_H

#include "steps.h"
#include "worker.h"

enum { ROUNDS_MOST = 101, THREAD_COUNTS = 8 };

/* One way of one contender, in a process of its own. */
struct entrant {
	const char *label;
	const char *contender;
	bool is_called;
	const char *preload; /* a path or a library's name; NULL: nothing */
	const char *package; /* that has it */
	const char *program; /* pools or pools-count */
	bool is_here;
	struct worker_process process; /* while it is measured */
};

/* Of the slices that were kept. */
struct times {
	double median, low, high; /* ns a pair; low and high are quartiles */
	unsigned kept, dropped;
};

struct plan {
	unsigned rounds;
	unsigned slice_us;
};

/* Starts its process, which is as new as a host that begins; sets is_here. */
void entrant_begin(struct entrant *entrant);
void entrant_end(struct entrant *entrant);

/* Medians of all `entrants` in one pattern, each in a new process; NaN for one that is not here or never ran
 * undisturbed. */
void measure(struct entrant *entrants, unsigned count, const struct plan *plan, const struct order *what,
        struct times *times);

/* One slice in a new process, whatever befalls it; false: the entrant is not here. */
bool measure_once(struct entrant *entrant, const struct order *what, struct answer *answer);

/* `pairs` as the pattern can have it: whole rounds of it. */
uint64_t measure_whole(enum pattern pattern, uint64_t pairs, uint64_t wide);

double geometric_mean(const double *value, unsigned count);

#endif
