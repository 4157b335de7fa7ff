/* SPDX-License-Identifier: MIT */
/* A gnuplot script that draws one series, with its data inside. */
#ifndef COPOOL_TOOLS_DRAW_FIGURE_H
#define COPOOL_TOOLS_DRAW_FIGURE_H

#include <stdio.h>

#include "log/book.h"
#include "log/series.h"

/* What is drawn, and for which of gnuplot's terminals: "svg", "png" or "pdf". */
struct figure {
	const struct book_process *process;
	const json_t *pool; /* its last record */
	const struct series *series;
	const char *format;
	const char *output; /* the path that the script names; NULL: standard output */
};

/* Whether the script can draw this format. */
bool figure_has_format(const char *format);

/* Whether the series has more than one point in time. */
bool figure_has_content(const struct series *series);

void figure_write(const struct figure *figure, FILE *file);

#endif
