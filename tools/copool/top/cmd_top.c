/* SPDX-License-Identifier: MIT */
/*
 * copool top: what a log says, or a process has counted, as it happens; in full on a terminal, otherwise one line for
 * each pool in each interval.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"
#include "copool.h"
#include "process/ending.h"
#include "top/fleet.h"
#include "top/follow.h"
#include "top/lines.h"
#include "top/overview.h"
#include "process/remote.h"
#include "top/screen.h"
#include "top/board.h"
#include "verb.h"

enum { NAP_MS = 300 };

struct top {
	const char *name;    /* LOG or PID as given */
	pid_t pid;           /* 0: a log */
	double delay;        /* seconds */
	unsigned long count; /* of intervals; 0: no end */
	bool is_plain, is_json;
	char source[128];
	char note[REMOTE_WHY];
	bool has_ended; /* the process; its last counters stay */
	struct remote remote;
	struct follow follow;
	struct board board;
	struct fleet fleet; /* if neither LOG nor PID is given */
	struct overview overview;
};

static const struct argp_option options[] = {
        {"delay", 'd', "SECONDS", 0, "The time between two looks (0.1 to 3600; 1)", 0},
        {"count", 'n', "COUNT", 0, "End after this number of looks", 0},
        {"pid", 'p', "PID", 0, "Look into this process", 0},
        {"plain", 'b', NULL, 0, "Write plain lines, also on a terminal", 0},
        {"json", 'j', NULL, 0, "Write one JSON object for each look, in a line of its own", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct top *top = state->input;

	switch (key) {
	case 'd':
		top->delay = verb_number(state, "delay", value, 0.1, 3600);
		return 0;
	case 'n':
		top->count = (unsigned long)verb_whole(state, "count", value, 1, LONG_MAX);
		return 0;
	case 'j':
		top->is_json = true;
		/* fall through */
	case 'b':
		top->is_plain = true;
		return 0;
	case 'p':
		if (!remote_pid(value, &top->pid))
			argp_error(state, "--pid=%s: not a process id", value);
		top->name = value;
		return 0;
	case ARGP_KEY_ARG:
		if (top->name != NULL)
			argp_error(state, "only one log or process can be shown");
		top->name = value;
		return 0;
	case ARGP_KEY_END:
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {.options = options,
        .parser = parse,
        .args_doc = "[LOG|PID]",
        .doc = "Shows live the pools of a running process, or of all processes that write a log. Without either "
               "it lists all processes that have the library; enter opens one. A process needs no log. A LOG "
               "named `-' is standard input; a number is a process, unless there is a file of that name.\v"
               "Keys: q quits, ? helps, p pauses, arrows and tab choose, c changes the chart, enter opens a "
               "process, esc goes back. If standard output is not a terminal, or one that cannot move its "
               "cursor, or with --plain, each look is a line for each pool, or for each program. The exit "
               "status is 0; 1 if the log or the process cannot be read; 2 for a wrong option."};

/* ---- where the numbers come from ---- */

/* Takes the process as it is now. Returns false, with remote.why, if it cannot be read any more. */
static bool look_into(struct top *top)
{
	json_t *samples = remote_samples(&top->remote), *sample;
	size_t i;

	if (samples == NULL) {
		/* Perhaps it has become another program, by exec. */
		json_t *open =
		        remote_open(&top->remote, top->pid) == 0 ? remote_open_record(&top->remote) : NULL;
		if (open == NULL)
			return false;
		board_take(&top->board, open);
		json_decref(open);
		samples = remote_samples(&top->remote);
		if (samples == NULL)
			return false;
	}
	json_array_foreach(samples, i, sample) board_take(&top->board, sample);
	if (json_array_size(samples) > 0)
		top->note[0] = '\0';
	json_decref(samples);
	return true;
}

/* Takes what is new. Sets the note if there will be nothing more. */
static void look(struct top *top)
{
	if (top->has_ended)
		return;
	if (top->pid) {
		if (look_into(top))
			return;
		board_end(&top->board, top->pid);
		if (top->remote.error == -ESRCH)
			snprintf(top->note, sizeof top->note, "process %d has ended", top->pid);
		else
			snprintf(top->note, sizeof top->note, "%s", top->remote.why);
		top->has_ended = true;
		return;
	}
	int error = follow_read(&top->follow, &top->board);
	if (error) {
		snprintf(top->note, sizeof top->note, "%s: %s", clean(top->name), strerror(-error));
		top->has_ended = true;
	}
}

/* Notes why the process has no pools, if it has none. They may come later. */
static void note_idle(struct top *top, const json_t *open)
{
	const char *mode = json_string_value(json_object_get(open, "mode")),
	           *detail = json_string_value(json_object_get(open, "detail"));

	if (mode != NULL && strcmp(mode, "none") == 0 && detail != NULL)
		snprintf(top->note, sizeof top->note, "nothing is pooled in process %d: %s", top->pid,
		        clean(detail));
}

/* Begins to look into the process top->pid. Returns 0; or -1, with remote.why. */
static int open_process(struct top *top)
{
	json_t *open = remote_open(&top->remote, top->pid) == 0 ? remote_open_record(&top->remote) : NULL;

	if (open == NULL)
		return -1;
	memset(&top->board, 0, sizeof top->board);
	top->has_ended = false;
	top->note[0] = '\0';
	note_idle(top, open);
	board_take(&top->board, open);
	snprintf(top->source, sizeof top->source, "%s [%d]", top->board.program[0].name, top->pid);
	json_decref(open);
	return 0;
}

/* Returns 0, or -1 after a message. */
static int open_source(struct top *top)
{
	if (top->name == NULL)
		return 0;
	if (!top->pid && remote_pid(top->name, &top->pid) && access(top->name, F_OK) == 0)
		top->pid = 0;
	if (top->pid) {
		if (open_process(top) == 0)
			return 0;
		fprintf(stderr, "copool top: %s\n", top->remote.why);
		return -1;
	}
	int error = follow_open(&top->follow, top->name);
	if (error) {
		fprintf(stderr, "copool top: %s: %s\n", clean(top->name), strerror(-error));
		return -1;
	}
	snprintf(top->source, sizeof top->source, "%s",
	        strcmp(top->name, "-") == 0 ? "standard input" : clean(top->name));
	return 0;
}

/* ---- plain lines ---- */

static double now_s(void)
{
	return (double)clock_now_ns(CLOCK_MONOTONIC) / 1e9;
}

/* How long to wait for `next` at once; not long, since a signal may arrive just before the wait. */
static int nap_ms(double next)
{
	double wait_ms = (next - now_s()) * 1000 + 1;

	return wait_ms < 1 ? 0 : wait_ms > NAP_MS ? NAP_MS : (int)wait_ms;
}

/* Whether what was read so far is no log; prints that. */
static bool is_no_log(const struct top *top)
{
	if (top->pid || top->name == NULL || top->board.records > 0 || top->board.programs > 0)
		return false;
	fprintf(stderr, "copool top: %s: %s\n",
	        strcmp(top->name, "-") == 0 ? "standard input" : clean(top->name),
	        top->board.bad > 0 ? "this is no log of copool: it has no line that is a record"
	                           : "it has no record");
	return true;
}

/* Looks and prints. Returns 0, or -1 with errno. */
static int look_and_print(struct top *top, size_t *ended)
{
	if (top->name != NULL) {
		look(top);
		return lines_board(&top->board, ended, top->is_json);
	}
	int error = fleet_look(&top->fleet);
	if (error && error != -EINTR) {
		snprintf(top->note, sizeof top->note, "processes cannot be listed: %s", strerror(-error));
		top->has_ended = true;
	}
	return error ? 0 : lines_fleet(&top->fleet, top->is_json);
}

static int run_plain(struct top *top)
{
	double next = now_s();
	size_t ended = 0;

	if (top->note[0] != '\0')
		fprintf(stderr, "copool top: %s\n", top->note);
	if (!top->is_json)
		lines_head(top->name == NULL);
	for (unsigned long i = 0; !ending_signal() && (top->count == 0 || i < top->count); i++) {
		if (i > 0) {
			next += top->delay;
			while (!ending_signal() && now_s() < next)
				poll(NULL, 0, nap_ms(next));
			if (ending_signal())
				break;
		}
		if (look_and_print(top, &ended) != 0) {
			if (ending_signal())
				break;
			fprintf(stderr, "copool top: cannot write: %s\n", strerror(errno));
			return 1;
		}
		if (top->has_ended && !ending_signal()) {
			fprintf(stderr, "copool top: %s\n", top->note);
			break;
		}
	}
	return !ending_signal() && is_no_log(top) ? 1 : 0;
}

/* ---- the terminal ---- */

/* The process' resident memory; 0: not known. */
static uint64_t resident_bytes(pid_t pid)
{
	char path[64];
	unsigned long long pages = 0;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	FILE *file = fopen(path, "re");
	if (file != NULL && fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	if (file != NULL)
		fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void look_for_screen(struct top *top, struct screen *screen)
{
	look(top);
	if (top->pid && !top->has_ended) {
		screen->resident_bytes = resident_bytes(top->pid);
		screen->idle_bytes = top->remote.idle_bytes;
		screen->is_idle_guessed = top->remote.is_idle_guessed;
	}
}

/* Shows a process or a log. Returns an exit status, or -1 to go back to the choice. */
static int run_screen(struct top *top, struct screen *screen)
{
	double next = now_s();

	for (unsigned long looks = 0; !ending_signal();) {
		double now = now_s();
		if (now >= next) {
			if (top->count && looks == top->count)
				break;
			if (!screen->is_paused) {
				look_for_screen(top, screen);
				looks++;
			}
			next = now - next > top->delay ? now + top->delay : next + top->delay;
		}
		screen->note = top->note[0] ? top->note : NULL;
		screen_draw(screen, &top->board);
		enum screen_key key = screen_key(screen, nap_ms(next));
		if (key == SCREEN_GONE)
			return 128 + SIGHUP; /* the signal may not have arrived yet */
		if (key == SCREEN_QUIT)
			break;
		if (key == SCREEN_BACK)
			return -1;
	}
	return 0;
}

/* Shows the chosen process. Returns an exit status, or -1 to go back. */
static int run_process(struct top *top, const struct screen *fleet_screen)
{
	struct screen screen = {.source = top->source,
	        .delay = top->delay,
	        .has_back = true,
	        .has_blocks = fleet_screen->has_blocks};

	top->pid = overview_enter(&top->overview, &top->fleet);
	if (!top->pid)
		return -1;
	if (open_process(top) != 0) {
		snprintf(top->note, sizeof top->note, "%s", top->remote.why);
		return -1;
	}
	return run_screen(top, &screen);
}

/* Shows all processes. Returns an exit status. */
static int run_fleet(struct top *top, struct screen *screen)
{
	double next = now_s();

	for (unsigned long looks = 0; !ending_signal();) {
		double now = now_s();
		if (now >= next) {
			if (top->count && looks == top->count)
				break;
			if (!screen->is_paused) {
				int error = fleet_look(&top->fleet);
				if (error && error != -EINTR)
					snprintf(top->note, sizeof top->note,
					        "processes cannot be listed: %s", strerror(-error));
				looks++;
			}
			next = now - next > top->delay ? now + top->delay : next + top->delay;
		}
		screen->note = top->note[0] ? top->note : NULL;
		overview_draw(&top->overview, screen, &top->fleet);
		enum screen_key key = screen_key(screen, nap_ms(next));
		if (key == SCREEN_GONE)
			return 128 + SIGHUP;
		if (key == SCREEN_QUIT)
			break;
		if (key == SCREEN_BACK)
			top->overview.has_open = false;
		if (key == SCREEN_ENTER) {
			top->note[0] = '\0';
			int status = run_process(top, screen);
			if (status >= 0)
				return status;
		}
	}
	return 0;
}

int cmd_top(int argc, char **argv)
{
	static struct top top;
	struct screen screen = {0};
	int status;

	top.delay = 1;
	if (argp_parse(&argp, argc, argv, 0, NULL, &top) != 0)
		return 1;
	ending_watch(screen_abandon);
	if (open_source(&top) != 0)
		return ending_signal() ? ending_status() : 1;
	screen.source = top.source;
	screen.delay = top.delay;
	if (!top.is_plain && isatty(STDOUT_FILENO) && screen_open(&screen)) {
		screen.has_back = top.name == NULL;
		status = top.name != NULL ? run_screen(&top, &screen) : run_fleet(&top, &screen);
		screen_close();
	} else {
		status = run_plain(&top);
	}
	if (top.name != NULL && !top.pid)
		follow_close(&top.follow);
	fleet_close(&top.fleet);
	return status == 0 ? ending_status() : status;
}
