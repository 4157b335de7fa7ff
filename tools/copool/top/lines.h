/* SPDX-License-Identifier: MIT */
/* What `copool top' writes where it draws no screen: lines to read, or a JSON object for each look. */
#ifndef COPOOL_TOOLS_TOP_LINES_H
#define COPOOL_TOOLS_TOP_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "top/board.h"
#include "top/fleet.h"

/* The names of the columns. */
void lines_head(bool is_fleet);

/*
 * The pools that go on, and those that have ended since the last time; `*ended`, 0 at first, is how many had by then. 0, or
 * -1 with errno.
 */
int lines_board(const struct board *board, size_t *ended, bool is_json);

/* A line for each program. 0, or -1 with errno. */
int lines_fleet(const struct fleet *fleet, bool is_json);

#endif
