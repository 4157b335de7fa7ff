/* SPDX-License-Identifier: MIT */
/* Columns are left out as a whole, so that no number is cut. */
#include "top/table.h"

#include <ncurses.h>
#include <stdio.h>
#include <string.h>

#include "top/screen.h"

enum { NAME_WIDTH = 18, CELL = 128 };

/* From left to right. */
enum column { PID, POOL, CREATES, HITS, NEW, LIVE, POOLED, PEAK, THREADS, PROGRAM, COLUMNS };

_Static_assert((int)COLUMNS == (int)TABLE_COLUMNS, "a width for each");

static const struct {
	const char *name;
	int width;
	int dispensable; /* without room for all, the highest is left out first; 0: never left out */
} columns[COLUMNS] = {
        [PID] = {"PID", 7, 1},
        [POOL] = {"POOL", NAME_WIDTH, 0},
        [CREATES] = {"CREATES/s", 9, 0},
        [HITS] = {"HITS", 7, 0},
        [NEW] = {"NEW/s", 7, 2},
        [LIVE] = {"LIVE", 7, 0},
        [POOLED] = {"POOLED", 7, 3},
        [PEAK] = {"PEAK", 6, 5},
        [THREADS] = {"THR", 3, 6},
        [PROGRAM] = {"PROGRAM", 7, 4},
};

static int total(const struct layout *layout)
{
	int sum = -1;

	for (int i = 0; i < COLUMNS; i++)
		sum += layout->width[i] ? layout->width[i] + 1 : 0;
	return sum;
}

struct layout table_lay_out(const struct board *board)
{
	struct layout layout;
	bool is_one = true;

	for (int i = 0; i < COLUMNS; i++)
		layout.width[i] = columns[i].width;
	for (size_t i = 0; i < board->count; i++) {
		int pool = (int)strlen(board->track[i].pool), program = (int)strlen(board->track[i].program);

		layout.width[POOL] = pool > layout.width[POOL] ? pool : layout.width[POOL];
		layout.width[PROGRAM] = program > layout.width[PROGRAM] ? program : layout.width[PROGRAM];
		is_one = is_one && strcmp(board->track[i].program, board->track[0].program) == 0;
	}
	for (int last = COLUMNS; total(&layout) > COLS && last > 0; last--) {
		/* Names are shortened in the middle first, to a width that still tells most of them apart. */
		if (layout.width[POOL] > NAME_WIDTH) {
			int over = total(&layout) - COLS, spare = layout.width[POOL] - NAME_WIDTH;
			layout.width[POOL] -= over < spare ? over : spare;
		}
		/* If there is only one program, the chart's title has it as well. */
		if (is_one && total(&layout) > COLS)
			layout.width[PROGRAM] = 0;
		for (int i = 0; i < COLUMNS && total(&layout) > COLS; i++) {
			if (columns[i].dispensable == last)
				layout.width[i] = 0;
		}
	}
	return layout;
}

/* One line of the table: the cells that have a column. */
static void put_cells(int row, const struct layout *layout, char cell[COLUMNS][CELL])
{
	char line[COLUMNS * CELL];
	int used = 0;

	for (int i = 0; i < COLUMNS; i++) {
		bool is_left = i == POOL || i == PROGRAM;
		char fit[CELL];

		if (layout->width[i] == 0)
			continue;
		screen_fit(fit, sizeof fit, cell[i], layout->width[i]);
		used += snprintf(line + used, sizeof line - (size_t)used, "%s%*s", used ? " " : "",
		        is_left ? -layout->width[i] : layout->width[i], fit);
	}
	screen_put(row, line);
}

void table_head(int row, const struct layout *layout)
{
	char cell[COLUMNS][CELL];

	for (int i = 0; i < COLUMNS; i++)
		snprintf(cell[i], CELL, "%s", columns[i].name);
	attrset(A_BOLD);
	put_cells(row, layout, cell);
	attrset(A_NORMAL);
}

void table_say_left_out(char *text, size_t room, const struct layout *layout)
{
	size_t used = 0;

	*text = '\0';
	for (int i = 0; i < COLUMNS && used < room; i++) {
		if (layout->width[i] == 0)
			used += (size_t)snprintf(text + used, room - used, "%s%s",
			        used ? ", " : "no room for ", columns[i].name);
	}
}

void table_track(int row, const struct layout *layout, const struct track *track, bool is_chosen)
{
	char cell[COLUMNS][CELL];

	snprintf(cell[PID], CELL, "%lld", (long long)track->pid);
	snprintf(cell[POOL], CELL, "%s", track->pool);
	screen_number(cell[CREATES], track->creates_rate);
	track_share(cell[HITS], track->share);
	screen_number(cell[NEW], track->made_rate);
	screen_number(cell[LIVE], (double)track->live);
	screen_number(cell[POOLED], (double)track->pooled);
	screen_number(cell[PEAK], (double)track->peak);
	snprintf(cell[THREADS], CELL, "%lld", (long long)track->threads);
	snprintf(cell[PROGRAM], CELL, "%s", track->program);
	if (track->is_ended) {
		snprintf(cell[CREATES], CELL, "ended");
		cell[HITS][0] = cell[NEW][0] = '\0';
	}
	attrset(is_chosen ? A_REVERSE : track->is_ended ? A_DIM : A_NORMAL);
	put_cells(row, layout, cell);
	attrset(A_NORMAL);
}
