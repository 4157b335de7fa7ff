/* SPDX-License-Identifier: MIT */
/* A pool over time, drawn with characters: one column per interval, the last one on the right. */
#ifndef COPOOL_TOOLS_TOP_CHART_H
#define COPOOL_TOOLS_TOP_CHART_H

#include <stdbool.h>

#include "top/board.h"

enum { CHART_LEAST = 6 }; /* rows, with its title and its axis */

/* Draws into `rows` rows of the screen from `top` on. `has_blocks`: the locale has eighths of a block. */
void chart_draw(const struct track *track, enum track_measure measure, int top, int rows, bool has_blocks);

#endif
