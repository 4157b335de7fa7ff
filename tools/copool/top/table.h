/* SPDX-License-Identifier: MIT */
/* The pools of a board as a table on the screen, with the columns that fit. */
#ifndef COPOOL_TOOLS_TOP_TABLE_H
#define COPOOL_TOOLS_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "top/board.h"

enum { TABLE_COLUMNS = 10 };

struct layout {
	int width[TABLE_COLUMNS]; /* 0: left out */
};

struct layout table_lay_out(const struct board *board);

/* Write a row of the screen: the names of the columns, or a pool. */
void table_head(int row, const struct layout *layout);
void table_track(int row, const struct layout *layout, const struct track *track, bool is_chosen);

/* Writes "no room for PROGRAM, THR" to `text` of `room` bytes; "" if there is room for all. */
void table_say_left_out(char *text, size_t room, const struct layout *layout);

#endif
