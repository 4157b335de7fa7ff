/* SPDX-License-Identifier: MIT */
/* What the runs of a program without and with the pool come to. No input, no output. */
#ifndef COPOOL_TOOLS_COMPARE_VERDICT_H
#define COPOOL_TOOLS_COMPARE_VERDICT_H

#include <stdbool.h>

#include "compare/sides.h"

enum { VERDICT_BYTES = 512 + TRIAL_REASON_BYTES };

/* Sets a run's rate of misses: of the creates that were counted, or of `least` when there were fewer. */
void verdict_rate(struct trial *trial, double least);

/* Whether it is worth something that of so many creates not `before` are misses but `after`; both are shares of 1. */
bool verdict_is_worth(double creates, double before, double after);

enum verdict { VERDICT_NONE, VERDICT_DOES_NOT_HELP, VERDICT_HELPS };

/* Whether the pool helps; writes the sentence that says so, and why, to `text` (VERDICT_BYTES). */
enum verdict verdict_find(const struct side *stock, const struct side *pooled, char *text);

#endif
