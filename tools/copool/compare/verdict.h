/* SPDX-License-Identifier: MIT */
/* What the runs of a program without and with the pool come to. No input, no output. */
#ifndef COPOOL_TOOLS_COMPARE_VERDICT_H
#define COPOOL_TOOLS_COMPARE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "compare/trial.h"

enum { VERDICT_BYTES = 512 + TRIAL_REASON_BYTES, VERDICT_STATUS_BYTES = 80 };

/* All runs of one kind. */
struct side {
	const struct trial *trial;
	unsigned runs; /* at least 1 */
};

struct spread {
	double median, low, high; /* NAN when no run knew it */
};

/* Sets a run's rate of misses: of the creates that were counted, or of `least` when there were fewer. */
void verdict_rate(struct trial *trial, double least);

struct spread side_spread(const struct side *side, enum trial_metric metric);

/* How many runs did not end with exit status 0. */
unsigned side_failures(const struct side *side);

/* Writes how the runs ended: "0", "SIGABRT", "1 in 2 of 5 runs". `text` has VERDICT_STATUS_BYTES. */
void side_status(const struct side *side, char *text);

/* Whether it is worth something that of so many creates not `before` are misses but `after`; both are shares of 1. */
bool verdict_is_worth(double creates, double before, double after);

enum verdict { VERDICT_NONE, VERDICT_DOES_NOT_HELP, VERDICT_HELPS };

/* Whether the pool helps; writes the sentence that says so, and why, to `text` (VERDICT_BYTES). */
enum verdict verdict_find(const struct side *stock, const struct side *pooled, char *text);

#endif
