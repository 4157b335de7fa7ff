/* SPDX-License-Identifier: MIT */
/* copool VERB ...: the table of verbs, and the usage made from it. */
#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"

static const struct {
	const char *name;
	const char *argv0; /* what argp calls it in usage and errors */
	int (*run)(int argc, char **argv);
	const char *summary;
} verbs[] = {
        {"run", "copool run", cmd_run, "run a program with its coroutines pooled"},
        {"compare", "copool compare", cmd_compare, "run a program without and with the pool, in turn"},
        {"doctor", "copool doctor", cmd_doctor,
                "say whether copool can help a program, and what is in the way"},
        {"observe", "copool observe", cmd_observe, "say what copool would do for a running program"},
        {"show", "copool show", cmd_show, "show what a statistics log, or a running process, says"},
        {"top", "copool top", cmd_top, "watch a running process, or a log that is being written"},
        {"ps", "copool ps", cmd_ps, "list all processes that have the library"},
        {"set", "copool set", cmd_set, "change the settings of a running process"},
        {"settings", "copool settings", cmd_settings,
                "show the settings that a program gets, and from where"},
        {"trim", "copool trim", cmd_trim, "make a running process give back what is idle"},
        {"off", "copool off", cmd_off, "stop a running process from pooling"},
        {"on", "copool on", cmd_on, "make it pool again"},
        {"origins", "copool origins", cmd_origins, "show the call stacks of misses and leaks"},
        {"advise", "copool advise", cmd_advise, "find better settings for the demand in a log"},
        {"prune", "copool prune", cmd_prune, "remove the Prometheus files of processes that are gone"},
        {"recipe", "copool recipe", cmd_recipe, "say how a kind of service is started with the library"},
        {"record", "copool record", cmd_record, "write a log of a running process that writes none"},
        {"report", "copool report", cmd_report, "make a page with charts of statistics logs"},
        {"plot", "copool plot", cmd_plot, "plot a pool of a statistics log with gnuplot"},
};

enum { VERBS = sizeof verbs / sizeof verbs[0], WORD_BYTES = 16 };

/* No "()" if the commit is not known. */
const char *argp_program_version =
        sizeof COPOOL_COMMIT > 1 ? "copool " COPOOL_VERSION " (" COPOOL_COMMIT ")" : "copool " COPOOL_VERSION;

/* The verb has returned, and has reported what could not be written. */
static bool has_returned;

/* At exit: whether a help text could be written. argp exits with 0 in any case. */
static void check_help(void)
{
	if (has_returned || (fflush(stdout) == 0 && !ferror(stdout)))
		return;
	fprintf(stderr, "copool: cannot write: %s\n", strerror(errno));
	_exit(1);
}

static void usage(FILE *out)
{
	fprintf(out, "Usage: copool VERB [ARGUMENT...]\n\n");
	for (size_t i = 0; i < VERBS; i++)
		fprintf(out, "  %-8s  %s\n", verbs[i].name, verbs[i].summary);
	fprintf(out, "  %-8s  %s\n\n", "help", "`copool help VERB' explains one verb");
	fprintf(out, "copool --version prints the version and the commit. See also copool(1).\n");
}

/* How many letters must be added, removed, changed or swapped with the next one to turn one word into the other. */
static size_t distance(const char *one, const char *other)
{
	size_t row[3][WORD_BYTES], length = strlen(other);

	for (size_t j = 0; j <= length; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= strlen(one); i++) {
		size_t *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t least = before[j - 1] + (one[i - 1] != other[j - 1]);
			least = before[j] + 1 < least ? before[j] + 1 : least;
			least = now[j - 1] + 1 < least ? now[j - 1] + 1 : least;
			if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] &&
			        earlier[j - 2] + 1 < least)
				least = earlier[j - 2] + 1;
			now[j] = least;
		}
	}
	return row[strlen(one) % 3][length];
}

/* The verb that was meant, or NULL. */
static const char *nearest_verb(const char *name)
{
	const char *nearest = NULL;
	size_t least = strlen(name) > 3 ? 3 : 2; /* so many differences are too many */

	for (size_t i = 0; i < VERBS && strlen(name) < WORD_BYTES; i++) {
		size_t d = distance(name, verbs[i].name);
		if (d < least) {
			least = d;
			nearest = verbs[i].name;
		}
	}
	return nearest;
}

static int run_verb(const char *name, int argc, char **argv)
{
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(name, verbs[i].name) == 0) {
			argv[0] = (char *)verbs[i].argv0;
			int status = verbs[i].run(argc, argv);
			has_returned = true;
			return status;
		}
	}
	const char *nearest = nearest_verb(name);
	if (nearest != NULL)
		fprintf(stderr, "copool: there is no verb `%s'; did you mean %s? See copool --help\n",
		        clean(name), nearest);
	else
		fprintf(stderr, "copool: there is no verb `%s'; see copool --help\n", clean(name));
	return EXIT_USAGE;
}

static int help(int argc, char **argv)
{
	char *arguments[] = {NULL, "--help", NULL};

	if (argc > 1 && strcmp(argv[1], "help") != 0 && strcmp(argv[1], "--help") != 0)
		return run_verb(argv[1], 2, arguments);
	usage(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	argp_err_exit_status = EXIT_USAGE;
	atexit(check_help);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "-?") == 0)
		return help(1, argv);
	if (strcmp(argv[1], "help") == 0)
		return help(argc - 1, argv + 1);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts(argp_program_version);
		return 0;
	}
	return run_verb(argv[1], argc - 1, argv + 1);
}
