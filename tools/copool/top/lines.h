/* SPDX-License-Identifier: MIT */
/* The output of `copool top' without a screen: lines to read, or a JSON object for each look. */
#ifndef COPOOL_TOOLS_TOP_LINES_H
#define COPOOL_TOOLS_TOP_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "top/board.h"
#include "top/fleet.h"

/* Prints the names of the columns. */
void lines_head(bool is_fleet);

/*
 * Prints the live pools, and those that have ended since the last call; `*ended`, at first 0, is how many had ended by
 * then. Returns 0, or -1 with errno.
 */
int lines_board(const struct board *board, size_t *ended, bool is_json);

/* Prints a line for each program. Returns 0, or -1 with errno. */
int lines_fleet(const struct fleet *fleet, bool is_json);

#endif
