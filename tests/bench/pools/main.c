/* SPDX-License-Identifier: MIT */
/*
 * The pools compared: pools [--rounds N] [--slice-us N] [--json FILE] [--only WORD] [times|counts|scaling]...
 * or: pools baseline
 *
 * WORD is a part of the names of those that take part.
 *
 * Each entrant is a process of its own, with what it needs preloaded; this one gives them slices in turns.
 *
 *	pools --> pools worker NAME           times
 *	      --> pools-count worker NAME     depot operations, objects held
 *	      --> pools stepped NAME …        one instruction at a time
 */
#include "report.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct entrant entrants[] = {
        {.label = "bare array", .contender = "bare array"},
        {.label = "structure alone", .contender = "structure alone"},
        {.label = "copool", .contender = "copool, linked"},
        {.label = "shared list (QEMU 7.2)", .contender = "shared list (QEMU 7.2)"},
        {.label = "stack of queues (2020)", .contender = "stack of queues (2020)"},
        {.label = "locked batches (QEMU 9.0)", .contender = "locked batches (QEMU 9.0)"},
        {.label = "magazines, liburcu", .contender = "magazines, liburcu", .package = "liburcu-dev"},
        {.label = "magazines, CK", .contender = "magazines, CK", .package = "libck-dev"},
        {.label = "bare array, called", .contender = "bare array", .is_called = true},
        {.label = "structure alone, called", .contender = "structure alone", .is_called = true},
        {.label = "copool, interposed", .contender = "copool, interposed", .is_called = true},
        {.label = "shared list, called", .contender = "shared list (QEMU 7.2)", .is_called = true},
        {.label = "stack of queues, called", .contender = "stack of queues (2020)", .is_called = true},
        {.label = "locked batches, called", .contender = "locked batches (QEMU 9.0)", .is_called = true},
        {.label = "magazines, liburcu, called",
                .contender = "magazines, liburcu",
                .is_called = true,
                .package = "liburcu-dev"},
        {.label = "magazines, CK, called",
                .contender = "magazines, CK",
                .is_called = true,
                .package = "libck-dev"},
        {.label = "glibc malloc", .contender = "malloc", .is_called = true},
        {.label = "jemalloc",
                .contender = "malloc",
                .is_called = true,
                .preload = "libjemalloc.so.2",
                .package = "libjemalloc2"},
        {.label = "tcmalloc",
                .contender = "malloc",
                .is_called = true,
                .preload = "libtcmalloc_minimal.so.4",
                .package = "libtcmalloc-minimal4"},
        {.label = "mimalloc",
                .contender = "malloc",
                .is_called = true,
                .preload = "libmimalloc.so.2",
                .package = "libmimalloc2.0"},
};

enum { ENTRANTS = sizeof entrants / sizeof *entrants };

static char programs[PATH_MAX - 64], self[PATH_MAX], counting[PATH_MAX];

/* The programs lie side by side; libcopool.so one folder up. */
static bool find_programs(void)
{
	ssize_t length = readlink("/proc/self/exe", programs, sizeof programs - 1);
	char *slash;

	if (length < 0)
		return false;
	programs[length] = '\0';
	slash = strrchr(programs, '/');
	*slash = '\0';
	snprintf(self, sizeof self, "%s/pools", programs);
	snprintf(counting, sizeof counting, "%s/pools-count", programs);
	return true;
}

/* A pool that is not there is left out, with a line that says so. */
static void look_for_all(const char *only)
{
	for (unsigned i = 0; i < ENTRANTS; i++) {
		struct entrant *entrant = &entrants[i];

		if (strstr(entrant->label, only) == NULL)
			continue;
		entrant_begin(entrant);
		entrant_end(entrant);
		if (!entrant->is_here)
			printf("left out: %s%s%s\n", entrant->label,
			        entrant->package != NULL ? ", which needs the package " : ": it does not run",
			        entrant->package != NULL ? entrant->package : "");
	}
}

static void set_program(const char *program)
{
	for (unsigned i = 0; i < ENTRANTS; i++)
		entrants[i].program = program;
}

static bool has_word(char *const *words, const char *word)
{
	if (words[0] == NULL)
		return true;
	for (; *words != NULL; words++) {
		if (strcmp(*words, word) == 0)
			return true;
	}
	return false;
}

static int run(const struct plan *plan, char *const *words, const char *only, const char *path)
{
	struct report report = {.entrants = entrants, .count = ENTRANTS, .json = json_object()};

	set_program(self);
	look_for_all(only);
	if (has_word(words, "times"))
		report_times(&report, plan);
	if (has_word(words, "scaling"))
		report_scaling(&report, plan);
	if (has_word(words, "counts")) {
		set_program(counting);
		report_counts(&report, self);
	}
	report_targets(&report);
	return report_write(&report, path) ? 0 : 1;
}

/* Only what is ours: for the comparison with tests/fixtures/baseline.json. */
static int run_baseline(void)
{
	struct entrant *linked = NULL, *interposed = NULL;

	set_program(counting);
	for (unsigned i = 0; i < ENTRANTS; i++) {
		if (strcmp(entrants[i].label, "copool") == 0)
			linked = &entrants[i];
		if (strcmp(entrants[i].label, "copool, interposed") == 0)
			interposed = &entrants[i];
	}
	return report_baseline(linked, interposed, self) ? 0 : 1;
}

/* The processes that this one starts. */
static int run_child(int count, char **argument)
{
	const struct contender *contender = count > 2 ? worker_find(argument[2]) : NULL;

	if (contender == NULL)
		return 2;
	if (strcmp(argument[1], "worker") == 0)
		return worker_main(contender);
	return count == 5 ? steps_child(contender, atoi(argument[3]), strcmp(argument[4], "called") == 0) : 2;
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text != '\0' && *end == '\0' && value >= least && value <= most)
		return (unsigned)value;
	fprintf(stderr, "pools: %s: a number from %u to %u is wanted\n", text, least, most);
	exit(2);
}

int main(int count, char **argument)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
	        {"slice-us", required_argument, NULL, 's'}, {"json", required_argument, NULL, 'j'},
	        {"only", required_argument, NULL, 'o'}, {0}};
	struct plan plan = {.rounds = 15, .slice_us = 1000};
	const char *path = NULL, *only = "";
	int option;

	if (count > 1 && (strcmp(argument[1], "worker") == 0 || strcmp(argument[1], "stepped") == 0))
		return run_child(count, argument);
	while ((option = getopt_long(count, argument, "r:s:j:o:", options, NULL)) != -1) {
		if (option == 'r')
			plan.rounds = number(optarg, 1, ROUNDS_MOST);
		else if (option == 's')
			plan.slice_us = number(optarg, 10, 1000000);
		else if (option == 'j')
			path = optarg;
		else if (option == 'o')
			only = optarg;
		else
			return 2;
	}
	if (!find_programs())
		return 1;
	if (argument[optind] != NULL && strcmp(argument[optind], "baseline") == 0)
		return run_baseline();
	return run(&plan, argument + optind, only, path);
}
