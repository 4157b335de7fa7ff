/* SPDX-License-Identifier: MIT */
/* What the bench says: tables on the terminal, everything in JSON, and whether the targets are met. */
#ifndef COPOOL_BENCH_REPORT_H
#define COPOOL_BENCH_REPORT_H

#include "measure.h"

#include <jansson.h>

struct report {
	struct entrant *entrants;
	unsigned count;
	json_t *json; /* one key a table, in it one a row, in it one a column */
};

void report_times(struct report *report, const struct plan *plan);
void report_scaling(struct report *report, const struct plan *plan);

/* `program`: pools, for counting instructions; the entrants are pools-count's. */
void report_counts(struct report *report, const char *program);

/*
 * Prints, as JSON, what must not grow unnoticed: instructions of the fast and the slow paths, depot
 * operations. False: it could not be counted.
 */
bool report_baseline(struct entrant *linked, const struct entrant *interposed, const char *program);

/* Each target, and whether it was reached; what was not measured is not said. */
void report_targets(struct report *report);

/* Writes the JSON; false: it could not be written. `path` NULL: nowhere. */
bool report_write(struct report *report, const char *path);

#endif
