/* SPDX-License-Identifier: MIT */
/*
 * copool compare: runs a program without and with the pool, in turn, and says whether the pool helps. The program's
 * output goes to standard error, once; the table, or the JSON, to standard output.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amount.h"
#include "clean.h"
#include "progress.h"
#include "copool.h"
#include "fold.h"
#include "run/launch.h"
#include "run/options.h"
#include "compare/print.h"
#include "compare/trial.h"
#include "compare/verdict.h"
#include "verb.h"

enum { RUNS = 5, MOST_RUNS = 1000 };

struct comparison {
	unsigned runs;
	bool json, quiet;
	char **program;
	struct trial *stock, *pooled; /* `runs` of each */
};

static const struct argp_option options[] = {
        {"runs", 'n', "RUNS", 0, "The number of runs without the pool, and with it (1 to 1000; 5)", 0},
        {"json", 'j', NULL, 0, "Write one JSON object instead of a table", 0},
        {"quiet", 'q', NULL, 0, "Do not show the program's output", 0},
        {0},
};

static const struct argp_child children[] = {{&options_pool, 0, NULL, 0}, {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct comparison *comparison = state->input;

	switch (key) {
	case 'n':
		comparison->runs = (unsigned)verb_whole(state, "runs", value, 1, MOST_RUNS);
		return 0;
	case 'j':
		comparison->json = true;
		return 0;
	case 'q':
		comparison->quiet = true;
		return 0;
	}
	return verb_arguments(key, state, &comparison->program, "which program?");
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PROGRAM [ARGUMENT...]",
        .children = children,
        .doc = "Runs PROGRAM without the pool and with it, in turn, and shows both side by side: counters, "
               "memory, time, and whether the pool helps.\v"
               "PROGRAM runs to its end as under `copool run', RUNS times each way. The output of the first run "
               "goes to standard error. Figures are medians, with the least and the most if the runs differ.\n\n"
               "The exit status is that of the first run with the pool that did not end with 0 (128 and more "
               "for a signal); 0 if all did; 2 for a wrong option, 125 if copool itself fails, 126 if PROGRAM "
               "cannot be run with a preload, 127 if it is not found.\n\n"
               "Example: copool compare -n 10 -- qemu-img bench -c 200000 -d 1024 disk.img",
};

/* ---- running ---- */

/* Shows the output of the last run. */
static void show_output(const struct comparison *comparison, const char *path, const char *title)
{
	char text[1 << 14];
	ssize_t got;

	if (comparison->quiet)
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	progress_end();
	if (title != NULL)
		fprintf(stderr, "%s\n", title);
	while ((got = read(fd, text, sizeof text)) > 0)
		fwrite(text, 1, (size_t)got, stderr);
	close(fd);
	progress_begin();
}

/* One run; the even ones without the pool, the odd ones with it. 0 or -errno. */
static int run_once(const struct comparison *comparison, struct stage *stage, unsigned run)
{
	bool pooled = run % 2 == 1;
	struct trial *trial = &(pooled ? comparison->pooled : comparison->stock)[run / 2];
	struct side side = {trial, 1};
	char title[SIDE_STATUS_BYTES + 80], how[SIDE_STATUS_BYTES];

	stage->run = run + 1;
	stage->runs = 2 * comparison->runs;
	int error = trial_run(stage, pooled ? "pool" : "observe", trial);
	if (error)
		return error;
	side_status(&side, how);
	snprintf(title, sizeof title, "copool compare: run %u, %s the pool, ended with %s:", run + 1,
	        pooled ? "with" : "without", how);
	if (run == 0)
		show_output(comparison, stage->output, NULL);
	else if (trial->status != comparison->stock[0].status)
		show_output(comparison, stage->output, title);
	return 0;
}

/* Makes all runs. Returns 0; or the exit status, after a message. */
static int run_all(const struct comparison *comparison, const struct launch *launch)
{
	static struct stage stage;
	int error = stage_begin(&stage, launch);

	if (error) {
		fprintf(stderr, "copool compare: cannot make a temporary folder (TMPDIR): %s\n",
		        strerror(-error));
		return EXIT_OURS;
	}
	if (!comparison->quiet)
		progress_begin();
	for (unsigned run = 0; error == 0 && run < 2 * comparison->runs; run++)
		error = run_once(comparison, &stage, run);
	progress_end();
	stage_end(&stage);
	if (stage.stopped_by) {
		signal(stage.stopped_by, SIG_DFL);
		raise(stage.stopped_by);
		return 128 + stage.stopped_by;
	}
	if (error == -ECHILD)
		fprintf(stderr,
		        "copool compare: %s has ended, but processes that it started have not: it cannot be "
		        "compared\n",
		        clean(launch->program[0]));
	else if (error)
		fprintf(stderr, "copool compare: cannot run %s: %s\n", clean(launch->program[0]),
		        strerror(-error));
	return error ? EXIT_OURS : 0;
}

/* As in a shell: that of the first run that did not end with 0. */
static int exit_status(const struct side *pooled)
{
	for (unsigned i = 0; i < pooled->runs; i++) {
		int status = pooled->trial[i].status;
		if (status != 0)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return 0;
}

/* If the program has its own pool, the calls saved are those that the runs without ours made more. */
static void count_saved(const struct comparison *comparison)
{
	double made[MOST_RUNS];

	for (unsigned i = 0; i < comparison->runs; i++)
		made[i] = comparison->stock[i].calls_made;
	amount_sort(made, comparison->runs);
	for (unsigned i = 0; i < comparison->runs; i++) {
		struct trial *trial = &comparison->pooled[i];
		double saved = made[comparison->runs / 2] - trial->calls_made;

		if (trial->has_own_pool)
			trial->value[TRIAL_CALLS_SAVED] += saved > 0 ? saved : 0;
	}
}

/* Returns the exit status. */
static int show(const struct comparison *comparison)
{
	struct side stock = {comparison->stock, comparison->runs};
	struct side pooled = {comparison->pooled, comparison->runs};
	double creates = side_spread(&stock, TRIAL_CREATES).median;
	char verdict[VERDICT_BYTES];

	/* If QEMU's own pool stays in front of ours, the creates that it serves are not seen. */
	for (unsigned i = 0; i < comparison->runs; i++) {
		verdict_rate(&comparison->stock[i], 0);
		verdict_rate(&comparison->pooled[i], creates);
	}
	count_saved(comparison);
	enum verdict found = verdict_find(&stock, &pooled, verdict);
	if (comparison->json) {
		print_json(comparison->program, &stock, &pooled, found, verdict);
	} else {
		fold_stdout();
		print_table(&stock, &pooled, verdict);
	}
	return exit_status(&pooled);
}

int cmd_compare(int argc, char **argv)
{
	static struct launch launch;
	struct comparison comparison = {.runs = RUNS};
	int status = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &comparison);

	if (status == 0) {
		comparison.stock = calloc(comparison.runs, sizeof *comparison.stock);
		comparison.pooled = calloc(comparison.runs, sizeof *comparison.pooled);
	}
	if (status || comparison.stock == NULL || comparison.pooled == NULL) {
		fprintf(stderr, "copool compare: %s\n", strerror(status ? status : ENOMEM));
		return EXIT_OURS;
	}
	status = launch_prepare(&launch, "compare", comparison.program);
	if (status == 0)
		status = run_all(&comparison, &launch);
	if (status == 0)
		status = show(&comparison);
	free(comparison.stock);
	free(comparison.pooled);
	return verb_end("compare", status, EXIT_OURS);
}
