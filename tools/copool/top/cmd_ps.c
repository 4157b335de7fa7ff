/* SPDX-License-Identifier: MIT */
/* copool ps: all processes that have the library, with sums for each program. */
#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"
#include "copool.h"
#include "fold.h"
#include "progress.h"
#include "top/fleet.h"
#include "top/fleet_json.h"
#include "top/screen.h"
#include "verb.h"

enum { FIXED = 55, NAME_LEAST = 12, KEY_OVER = 'd' };

struct ps {
	bool is_json, is_sums, is_all;
	double over; /* seconds; 0: since each process began */
	struct fleet fleet;
};

static const struct argp_option options[] = {
        {"all", 'a', NULL, 0, "Also show processes that have nothing to pool", 0},
        {"sums", 's', NULL, 0, "Show one line for each program, and none for each of its processes", 0},
        {"delay", KEY_OVER, "SECONDS", 0,
                "Look twice, this far apart (0.1 to 3600), and show what happened in between; otherwise "
                "rates and hits are those since each process began",
                0},
        {"json", 'j', NULL, 0, "Write one JSON object instead of the table", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct ps *ps = state->input;

	switch (key) {
	case 'a':
		ps->is_all = true;
		return 0;
	case 's':
		ps->is_sums = true;
		return 0;
	case 'j':
		ps->is_json = true;
		return 0;
	case KEY_OVER:
		ps->over = verb_number(state, "delay", value, 0.1, 3600);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "all processes are shown; for one use `copool show %s'", value);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {.options = options,
        .parser = parse,
        .doc = "Shows all processes of this machine that have libcopool.so loaded, by program and label, "
               "with a line of sums for a program with several processes.\v"
               "A line that begins with `!' says what is wrong with the process above it. Idle memory that "
               "begins with `~' is guessed, at two pages per object: only a process with a log looks how "
               "deep its stacks are used. For other users' processes you need CAP_SYS_PTRACE (root); those "
               "that cannot be examined are counted below. The exit status is 0, also if there is no such "
               "process; 1 if /proc cannot be read; 2 for a wrong option."};

/* ---- the table ---- */

static bool is_shown(const struct ps *ps, const struct fleet_process *process)
{
	return ps->is_all || !process->is_idle;
}

/* The columns for a name: on a terminal, what the numbers leave. */
static int name_room(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return 2 * FLEET_NAME;
	return size.ws_col < FIXED + NAME_LEAST ? NAME_LEAST : size.ws_col - FIXED;
}

static const char *name_of(const struct fleet_process *process, bool is_worker)
{
	static char name[2 * FLEET_NAME + 4];

	snprintf(name, sizeof name, "%s%s%s%s", is_worker ? "  " : "", process->program,
	        process->label[0] ? " " : "", process->label);
	return name;
}

static int name_width(const struct ps *ps, int room)
{
	int width = NAME_LEAST;

	for (size_t i = 0; i < ps->fleet.count; i++) {
		int name = (int)clean_width(name_of(&ps->fleet.process[i], true));
		if (is_shown(ps, &ps->fleet.process[i]) && name > width)
			width = name;
	}
	return width < room ? width : room;
}

static void print_line(
        const char *pid, const char *name, int width, const char *mode, const struct fleet_counts *counts)
{
	char rate[16], share[16], live[16], pooled[16], bytes[16], cut[2 * FLEET_NAME + 4];

	screen_number(rate, counts->creates_rate);
	fleet_share(share, counts);
	screen_number(live, (double)counts->live);
	screen_number(pooled, (double)counts->pooled);
	fleet_bytes(bytes, counts);
	screen_fit(cut, sizeof cut, name, width);
	printf("%7s %s%*s %-7.7s %9s %7s %6s %6s %6s\n", pid, cut, width - (int)clean_width(cut), "", mode,
	        rate, share, live, pooled, bytes);
}

static void print_group(const struct ps *ps, size_t first, size_t count, int width)
{
	const struct fleet_process *process = &ps->fleet.process[first];
	struct fleet_counts sum;
	char pid[24], mode[FLEET_WORD];

	if (count > 1) {
		fleet_group(&ps->fleet, first, &sum, mode);
		snprintf(pid, sizeof pid, "%zu of", count);
		print_line(pid, name_of(process, false), width, mode, &sum);
	}
	for (size_t i = 0; i < count; i++, process++) {
		if (count > 1 && ps->is_sums && !process->wrong[0])
			continue;
		snprintf(pid, sizeof pid, "%d", (int)process->pid);
		if (count == 1 || !ps->is_sums)
			print_line(pid, name_of(process, count > 1), width, process->mode, &process->counts);
		if (process->wrong[0] && (count == 1 || !ps->is_sums))
			printf("        ! %s\n", process->wrong);
		else if (process->wrong[0])
			printf("        ! %d: %s\n", (int)process->pid, process->wrong);
	}
}

static void print_table(const struct ps *ps)
{
	const struct fleet *fleet = &ps->fleet;
	int width = name_width(ps, name_room());
	struct fleet_counts sum;
	char mode[FLEET_WORD];

	if (fleet->count > (ps->is_all ? 0 : fleet->idle))
		printf("%7s %-*s %-7s %9s %7s %6s %6s %6s\n", "PID", width, "PROGRAM", "MODE", "CREATES/s",
		        "HITS", "LIVE", "IDLE", "MEMORY");
	for (size_t i = 0; i < fleet->count;) {
		size_t count = fleet_group(fleet, i, &sum, mode);
		size_t shown = 0;
		while (shown < count && is_shown(ps, &fleet->process[i + shown]))
			shown++;
		/* The processes of a program that have nothing to pool are alike. */
		if (shown == count)
			print_group(ps, i, count, width);
		else
			for (size_t j = i; j < i + count; j++)
				if (is_shown(ps, &fleet->process[j]))
					print_group(ps, j, 1, width);
		i += count;
	}
	if (fleet->count == 0)
		printf("no process that can be looked into has libcopool.so\n");
	if (fleet->idle && !ps->is_all)
		printf("%u with the library %s nothing to pool (--all shows them)\n", fleet->idle,
		        fleet->idle == 1 ? "has" : "have");
	if (fleet->unreadable)
		printf("%u other %s may not be looked into: that takes CAP_SYS_PTRACE (root)\n",
		        fleet->unreadable, fleet->unreadable == 1 ? "process" : "processes");
	if (fleet->silent)
		printf("%u did not let %s be read in time\n", fleet->silent,
		        fleet->silent == 1 ? "itself" : "themselves");
	if (fleet->is_cut)
		printf("there are more processes than %d\n", FLEET_PROCESSES);
}

/* ---- JSON ---- */

static json_t *as_json(const struct fleet_process *process)
{
	json_t *object = fleet_named_as_json(process, process->mode, &process->counts);

	json_object_set_new(object, "pid", json_integer(process->pid));
	json_object_set_new(object, "host", json_string(process->host));
	json_object_set_new(object, "way", json_string(process->way));
	json_object_set_new(
	        object, "confined", process->confined[0] ? json_string(process->confined) : json_null());
	json_object_set_new(object, "uptime_ms", json_integer((json_int_t)(process->uptime_ms & INT64_MAX)));
	json_object_set_new(object, "wrong", process->wrong[0] ? json_string(process->wrong) : json_null());
	return object;
}

static void print_json(const struct ps *ps)
{
	const struct fleet *fleet = &ps->fleet;
	json_t *all = json_object(), *programs = json_array(), *processes = json_array();

	for (size_t i = 0; i < fleet->count;) {
		struct fleet_counts sum;
		char mode[FLEET_WORD];
		size_t count = fleet_group(fleet, i, &sum, mode), shown = 0;

		for (size_t j = i; j < i + count; j++) {
			if (is_shown(ps, &fleet->process[j]))
				json_array_append_new(processes, as_json(&fleet->process[j]));
			shown += is_shown(ps, &fleet->process[j]);
		}
		if (shown > 0) {
			json_array_append_new(
			        programs, fleet_group_as_json(&fleet->process[i], shown, mode, &sum));
		}
		i += count;
	}
	json_object_set_new(all, "programs", programs);
	json_object_set_new(all, "processes", processes);
	json_object_set_new(all, "nothing_to_pool", json_integer(fleet->idle));
	json_object_set_new(all, "not_permitted", json_integer(fleet->unreadable));
	json_object_set_new(all, "not_in_time", json_integer(fleet->silent));
	clean_json(all, JSON_INDENT(2), stdout);
	json_decref(all);
}

static double now_s(void)
{
	return (double)clock_now_ns(CLOCK_MONOTONIC) / 1e9;
}

static void wait_for(double seconds)
{
	double began = now_s(), rest = seconds;

	progress_begin();
	for (; rest > 0; rest = began + seconds - now_s()) {
		double nap = rest < 0.1 ? rest : 0.1;
		nanosleep(&(struct timespec){0, (long)(nap * 1e9)}, NULL);
		progress_say("%.0f of %.0f s", now_s() - began, seconds);
	}
	progress_end();
}

int cmd_ps(int argc, char **argv)
{
	static struct ps ps;

	if (argp_parse(&argp, argc, argv, 0, NULL, &ps) != 0)
		return 1;
	int error = fleet_look(&ps.fleet);
	if (error == 0 && ps.over > 0) {
		wait_for(ps.over);
		error = fleet_look(&ps.fleet);
	}
	if (error) {
		fprintf(stderr, "copool ps: processes cannot be listed: %s\n", strerror(-error));
		return 1;
	}
	if (ps.is_json) {
		print_json(&ps);
	} else {
		fold_stdout();
		print_table(&ps);
	}
	fleet_close(&ps.fleet);
	return verb_end("ps", 0, 1);
}
