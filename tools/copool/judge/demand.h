/* SPDX-License-Identifier: MIT */
/*
 * The demand on each pool of each process, from the samples of a log: steps for simulate.h. Its memory is bounded: if
 * there are too many steps, every two become one.
 */
#ifndef COPOOL_TOOLS_JUDGE_DEMAND_H
#define COPOOL_TOOLS_JUDGE_DEMAND_H

#include <jansson.h>
#include <stdbool.h>

#include "log/book.h"
#include "judge/simulate.h"

enum { DEMAND_STEPS = 4096, DEMAND_POOLS = 256 };

/* The counters of a record that matter here. */
struct demand_sample {
	double ms;
	double objects;          /* that exist */
	double depot, low, high; /* in the depot; the fewest and the most there since the last sample */
	double taken;            /* from the depot, cumulative like the next line */
	double made, kept, trimmed, deleted, created;
	double peak; /* most objects so far */
};

struct demand {
	size_t process, pool; /* in the book */
	struct demand_step *step;
	size_t steps, room;
	unsigned stride; /* samples a step */
	unsigned filled; /* of these in the last step */
	struct demand_sample first, last;
	double samples;
	double cached; /* idle objects in threads' caches, the sum over all samples */
	double idle;   /* all idle objects, likewise */
	double most_depot;
	double decay_ms; /* of the trimming in force; 0: none, or not known */
	bool is_old;     /* the log lacks a counter that is needed */
	bool is_counted; /* the pool keeps nothing: it only counts */
	bool has_hole;   /* a record was earlier than the one before */
};

struct demands {
	const struct book *book;
	struct demand *of[DEMAND_POOLS];
	size_t pools;
	unsigned long long left_out; /* records for which there was no room */
};

/* Has `book` fill it as it reads. */
void demands_watch(struct demands *demands, struct book *book);
/* NULL if nothing is known of it. */
const struct demand *demand_of(const struct demands *demands, size_t process, size_t pool);

void demands_free(struct demands *demands);

#endif
