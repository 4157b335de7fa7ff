/* SPDX-License-Identifier: MIT */
/* Two logs compared, program by program: what the report's page shows for `--baseline'. */
#ifndef COPOOL_TOOLS_DRAW_BASELINE_H
#define COPOOL_TOOLS_DRAW_BASELINE_H

#include "log/book.h"

enum {
	BASELINE_LOGS = 256,    /* that may be given */
	BASELINE_PROGRAMS = 64, /* that are compared; further ones are counted */
};

/*
 * Returns a new reference: `programs`, each with its sums in both logs, the verdict, and sentences on what cannot be
 * compared; and `notes` on programs that only one log has.
 */
json_t *baseline_as_json(const struct book *first, const struct book *second);

#endif
