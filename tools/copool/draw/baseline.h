/* SPDX-License-Identifier: MIT */
/* Two logs side by side, program by program: what the report's page says of `--baseline'. */
#ifndef COPOOL_TOOLS_DRAW_BASELINE_H
#define COPOOL_TOOLS_DRAW_BASELINE_H

#include "log/book.h"

enum {
	BASELINE_LOGS = 256,    /* that may be given */
	BASELINE_PROGRAMS = 64, /* set side by side; further ones are counted */
};

/*
 * An object: `programs`, each with its sums in both logs, the judgement and sentences on what cannot be compared; and
 * `notes`, on programs that are in one of them alone. A new reference.
 */
json_t *baseline_as_json(const struct book *first, const struct book *second);

#endif
