/* SPDX-License-Identifier: MIT */
/* The report's page: one HTML file with all that it needs inside. */
#ifndef COPOOL_TOOLS_DRAW_PAGE_H
#define COPOOL_TOOLS_DRAW_PAGE_H

#include <stdio.h>

#include "log/book.h"
#include "judge/demand.h"
#include "log/origins.h"
#include "log/series.h"

/* What the page tells. */
struct page {
	const struct book *book;
	const struct series_set *series;
	const struct demands *demands;
	const struct origins *origins;
	json_t *logs;   /* their names */
	json_t *unread; /* sentences on those that could not be read whole */

	const struct book *baseline; /* what they are compared with; NULL: with nothing */
	json_t *baseline_logs;       /* the names of its logs */
};

/* Writes it. 0, or -ENOMEM; what the file says of itself is left to its owner. */
int page_write(const struct page *page, FILE *file);

#endif
