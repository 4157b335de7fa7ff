/* SPDX-License-Identifier: MIT */
/*
 *	creates/s of stack 2101248 php, php [1234]
 *	 50.0k |       ▂▄█
 *	       |     ▃▆███▇
 *	 25.0k |  ▂▅███████▅
 *	     0 +--------+-----------
 *	             10 s ago     now
 */
#include "top/chart.h"

#include <ncurses.h>
#include <stdio.h>
#include <string.h>

#include "top/screen.h"

enum { GUTTER = 8, AXIS_ROWS = 2, EIGHTHS = 8, TICK = 20, QUARTERS = 4 };

static const char *const measures[TRACK_MEASURES] = {"creates/s", "hits", "live"};

/* The top of the scale: the next round number whose quarter is round as well. */
static double scale(const struct track *track, enum track_measure measure, int columns)
{
	static const double steps[] = {1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10};
	double most = 0, value, power = 1;

	if (measure == TRACK_HITS)
		return 1;
	for (int i = 0; i < columns && track_past(track, measure, (size_t)i, &value); i++)
		most = value > most ? value : most;
	while (power * 10 < most)
		power *= 10;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		if (steps[i] * power >= most)
			return steps[i] * power;
	}
	return most;
}

/* One cell of a column that is `height` eighths of a row high, in the row that begins at `from` eighths. */
static const char *cell(bool has_blocks, int height, int from)
{
	static const char *const blocks[] = {
	        " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
	int filled = height - from;

	if (filled <= 0)
		return " ";
	if (has_blocks)
		return blocks[filled < EIGHTHS ? filled : EIGHTHS];
	return filled >= EIGHTHS ? "#" : filled >= EIGHTHS / 2 ? ":" : ".";
}

/* The numbers on the left: at the bottom, at the top, and at the quarters or the half if there is room. */
static void put_scale(enum track_measure measure, double most, int top, int rows)
{
	int parts = rows >= 2 * QUARTERS ? QUARTERS : rows >= QUARTERS ? 2 : 1;

	for (int row = 0; row <= rows; row++)
		mvprintw(top + row, GUTTER - 1, "%c", row == rows ? '+' : '|');
	for (int part = 0; part <= parts; part++) {
		double value = most * part / parts;
		char number[16];

		if (measure == TRACK_HITS)
			snprintf(number, sizeof number, "%.0f%%", value * 100);
		else if (most < 10)
			snprintf(number, sizeof number, "%.3g", value);
		else
			screen_number(number, value);
		mvprintw(top + rows - (rows * part + parts / 2) / parts, 0, "%6s", number);
	}
}

/* The times, below the line at the bottom. */
static void put_times(const struct track *track, int row, int columns)
{
	double unused;

	for (int column = 0; column < columns; column++)
		mvaddch(row, GUTTER + column, (columns - 1 - column) % TICK == 0 ? '+' : '-');
	mvaddstr(row + 1, GUTTER + columns - 3, "now");
	for (int ago = TICK; ago + GUTTER < columns && track_past(track, TRACK_LIVE, (size_t)ago, &unused);
	        ago += TICK) {
		double seconds = track_ago(track, (size_t)ago);
		char text[32];

		snprintf(text, sizeof text, seconds < 9.95 ? "%.1f s ago" : "%.0f s ago", seconds);
		mvaddstr(row + 1, GUTTER + columns - 1 - ago - (int)strlen(text) / 2, text);
	}
}

void chart_draw(const struct track *track, enum track_measure measure, int top, int rows, bool has_blocks)
{
	int columns = COLS - GUTTER, height = rows - 1 - AXIS_ROWS;
	double most = scale(track, measure, columns), value;
	char title[256];

	if (columns < TICK || height < 1)
		return;
	most = most > 0 ? most : 1;
	snprintf(title, sizeof title, "%s of %s, %s [%lld]", measures[measure], track->pool,
	        track->program[0] ? track->program : "process", (long long)track->pid);
	mvaddnstr(top, 0, title, COLS);
	put_scale(measure, most, top + 1, height);
	for (int ago = 0; ago < columns && track_past(track, measure, (size_t)ago, &value); ago++) {
		int eighths = value > 0 ? (int)(value / most * height * EIGHTHS + 0.5) : 0;

		/* Anything above 0 is visible. */
		if (value > 0 && eighths == 0)
			eighths = 1;
		for (int row = 0; row < height; row++)
			mvaddstr(top + 1 + row, COLS - 1 - ago,
			        cell(has_blocks, eighths, (height - 1 - row) * EIGHTHS));
	}
	put_times(track, top + 1 + height, columns);
}
