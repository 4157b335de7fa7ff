/* SPDX-License-Identifier: MIT */
/*
 *	copool top: 23 processes of 3 programs                                     every 1 s
 *
 *	    PID PROGRAM                  MODE    CREATES/s    HITS   LIVE   IDLE MEMORY
 *	  21 of php-fpm8.2               pool        43210  99.98%    200   1024  ~8.0M
 *	   1234   php-fpm8.2             pool         2100 100.00%     10     64  ~512K
 *	   4321 qemu-system-x86_64 vm-1  pool          ...                              ! stopped
 */
#include "top/overview.h"

#include <ncurses.h>
#include <stdio.h>
#include <string.h>

#include "clean.h"

enum { HEAD_ROWS = 3, FOOT_ROWS = 3, NUMBERS = 55, NAME_LEAST = 20, WRONG_LEAST = 24 };

struct row {
	size_t first, count; /* in the fleet; count 0: the process `first` of the program that is open */
};

static const char *name_of(const struct fleet_process *process, bool is_worker)
{
	static char name[2 * FLEET_NAME + 4];

	snprintf(name, sizeof name, "%s%s%s%s", is_worker ? "  " : "", process->program,
	        process->label[0] ? " " : "", process->label);
	return name;
}

static bool is_open(const struct overview *overview, const struct fleet_process *process)
{
	return overview->has_open && strcmp(overview->program, process->program) == 0 &&
	       strcmp(overview->label, process->label) == 0;
}

/* Calls `with` for each row in turn. Returns how many there are. */
static size_t for_rows(const struct overview *overview, const struct fleet *fleet,
        void (*with)(void *context, size_t number, const struct row *row), void *context)
{
	size_t number = 0;

	for (size_t i = 0; i < fleet->count;) {
		struct fleet_counts sum;
		char mode[FLEET_WORD];
		size_t count = fleet_group(fleet, i, &sum, mode);

		/* A process with nothing to pool has nothing to watch. */
		if (fleet->process[i].is_idle && count == 1) {
			i++;
			continue;
		}
		with(context, number++, &(struct row){i, count});
		for (size_t j = i; count > 1 && j < i + count && is_open(overview, &fleet->process[j]); j++)
			with(context, number++, &(struct row){j, 0});
		i += count;
	}
	return number;
}

/* ---- drawing ---- */

struct drawing {
	struct overview *overview;
	struct screen *screen;
	const struct fleet *fleet;
	int width, rows;
	size_t top; /* the first row that is shown */
};

static void put_row(void *context, size_t number, const struct row *row)
{
	const struct drawing *drawing = context;
	const struct fleet_process *process = &drawing->fleet->process[row->first];
	struct fleet_counts counts = process->counts;
	char line[512], name[2 * FLEET_NAME + 4], pid[32], mode[FLEET_WORD], rate[16], share[16], live[16],
	        idle[16], bytes[16], wrong[FLEET_WRONG + 4] = "";
	bool is_chosen = number == drawing->screen->row;

	if (is_chosen) {
		drawing->overview->pid = row->count == 1 || row->count == 0 ? process->pid : 0;
		drawing->overview->first = row->first;
	}
	if (number < drawing->top || number >= drawing->top + (size_t)drawing->rows)
		return;
	snprintf(mode, sizeof mode, "%s", process->mode);
	snprintf(pid, sizeof pid, "%d", (int)process->pid);
	if (row->count > 1) {
		fleet_group(drawing->fleet, row->first, &counts, mode);
		snprintf(pid, sizeof pid, "%zu of", row->count);
	} else if (process->wrong[0]) {
		snprintf(wrong, sizeof wrong, "! %s", process->wrong);
	}
	screen_number(rate, counts.creates_rate);
	fleet_share(share, &counts);
	screen_number(live, (double)counts.live);
	screen_number(idle, (double)counts.pooled);
	fleet_bytes(bytes, &counts);
	screen_fit(name, sizeof name, name_of(process, row->count == 0), drawing->width);
	/* If there is no room for what is wrong, the last line has it for the chosen row. */
	if (COLS < NUMBERS + drawing->width + WRONG_LEAST)
		wrong[wrong[0] != '\0'] = '\0';
	snprintf(line, sizeof line, "%7s %s%*s %-7.7s %9s %7s %6s %6s %6s %s", pid, name,
	        drawing->width - (int)clean_width(name), "", mode, rate, share, live, idle, bytes, wrong);
	attrset(is_chosen ? A_REVERSE : A_NORMAL);
	screen_put(HEAD_ROWS + (int)(number - drawing->top), line);
	attrset(A_NORMAL);
}

static void put_help(void)
{
	static const char *const text[] = {
	        "q                      quit",
	        "?                      this page; any key leaves it",
	        "p                      pause, until p is pressed again",
	        "up, down, tab, j, k    choose a program or a process",
	        "enter                  open a program, or show the pools of a process",
	        "esc, backspace         back",
	        "",
	        "CREATES/s  coroutines or stacks requested per second, of all pools",
	        "HITS       how many of these the pool served, rounded down: 100.00% is all",
	        "LIVE       objects held by the program       IDLE    in the pool",
	        "MEMORY     of the idle ones; ~ means guessed, at two pages each",
	        "!          something is wrong: see the last line, or copool ps",
	};

	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
		screen_put(2 + (int)i, text[i]);
}

static void put_title(const struct drawing *drawing, size_t rows)
{
	const struct fleet *fleet = drawing->fleet;
	char line[256], right[64];

	(void)rows;
	snprintf(line, sizeof line, "copool top: %zu processes", fleet->count - fleet->idle);
	if (fleet->unreadable + fleet->silent > 0)
		snprintf(line + strlen(line), sizeof line - strlen(line), "; %u cannot be looked into",
		        fleet->unreadable + fleet->silent);
	if (drawing->screen->is_paused)
		snprintf(right, sizeof right, "paused");
	else
		snprintf(right, sizeof right, "every %g s", drawing->screen->delay);
	screen_put(0, line);
	if ((int)(strlen(line) + strlen(right)) < COLS)
		mvaddstr(0, COLS - (int)strlen(right), right);
	if (drawing->screen->note != NULL)
		screen_put(1, drawing->screen->note);
}

/* Each thing that is wrong has a line above the last one, the worst at the top, as far as there is room. */
static void put_wrong(const char *wrong)
{
	char line[FLEET_WRONG + 4];
	int lines = 1;

	for (const char *at = wrong; (at = strstr(at, "; ")); at += 2)
		lines++;
	lines = COLS > (int)strlen(wrong) + 2 ? 1 : lines < FOOT_ROWS ? lines : FOOT_ROWS - 1;
	for (int i = lines; i > 0; i--) {
		const char *end = i > 1 ? strstr(wrong, "; ") : NULL;
		size_t bytes = end != NULL ? (size_t)(end - wrong) : strlen(wrong);

		snprintf(line, sizeof line, "! %.*s", (int)bytes, wrong);
		screen_put(LINES - 1 - i, line);
		wrong += end != NULL ? bytes + 2 : bytes;
	}
}

static void widen(void *context, size_t number, const struct row *row)
{
	struct drawing *drawing = context;
	int name = (int)clean_width(name_of(&drawing->fleet->process[row->first], row->count == 0));

	(void)number;
	drawing->width = name > drawing->width ? name : drawing->width;
}

void overview_draw(struct overview *overview, struct screen *screen, const struct fleet *fleet)
{
	struct drawing drawing = {overview, screen, fleet, NAME_LEAST, LINES - HEAD_ROWS - FOOT_ROWS, 0};
	size_t rows = for_rows(overview, fleet, widen, &drawing);
	int most = COLS - NUMBERS > NAME_LEAST ? COLS - NUMBERS : NAME_LEAST;
	char head[256];

	drawing.width = drawing.width < most ? drawing.width : most;
	if (screen->row >= rows)
		screen->row = rows > 0 ? rows - 1 : 0;
	if (drawing.rows > 0 && screen->row >= (size_t)drawing.rows)
		drawing.top = screen->row - (size_t)drawing.rows + 1;
	erase();
	put_title(&drawing, rows);
	if (screen->is_help) {
		put_help();
		refresh();
		return;
	}
	snprintf(head, sizeof head, "%7s %-*s %-7s %9s %7s %6s %6s %6s", "PID", drawing.width, "PROGRAM",
	        "MODE", "CREATES/s", "HITS", "LIVE", "IDLE", "MEMORY");
	attrset(A_BOLD);
	screen_put(2, head);
	attrset(A_NORMAL);
	overview->pid = 0;
	overview->first = fleet->count;
	for_rows(overview, fleet, put_row, &drawing);
	if (rows == 0)
		screen_put(HEAD_ROWS, "no process that can be looked into has libcopool.so");
	if (overview->pid && overview->first < fleet->count && fleet->process[overview->first].wrong[0]) {
		put_wrong(fleet->process[overview->first].wrong);
	}
	screen_put(LINES - 1, "q quit   ? help   p pause   arrows: choose   enter: open");
	refresh();
}

pid_t overview_enter(struct overview *overview, const struct fleet *fleet)
{
	if (overview->pid || overview->first >= fleet->count)
		return overview->pid;
	const struct fleet_process *process = &fleet->process[overview->first];
	overview->has_open = !is_open(overview, process);
	snprintf(overview->program, sizeof overview->program, "%s", process->program);
	snprintf(overview->label, sizeof overview->label, "%s", process->label);
	return 0;
}
