/* SPDX-License-Identifier: MIT */
/* Judges the runs of a program without and with the pool. No input, no output. */
#ifndef COPOOL_TOOLS_COMPARE_VERDICT_H
#define COPOOL_TOOLS_COMPARE_VERDICT_H

#include <stdbool.h>

#include "compare/sides.h"

enum { VERDICT_BYTES = 512 + TRIAL_REASON_BYTES };

/* Sets a run's rate of misses: of the creates that were counted, or of `least` if there were fewer. */
void verdict_rate(struct trial *trial, double least);

/* Whether a fall of the misses from `before` to `after`, as shares of `creates`, is large enough to matter. */
bool verdict_is_worth(double creates, double before, double after);

enum verdict { VERDICT_NONE, VERDICT_DOES_NOT_HELP, VERDICT_HELPS };

/* Whether the pool helps; writes a sentence that says so, and why, to `text` (VERDICT_BYTES). */
enum verdict verdict_find(const struct side *stock, const struct side *pooled, char *text);

#endif
