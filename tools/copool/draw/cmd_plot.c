/* SPDX-License-Identifier: MIT */
/* copool plot: one pool over time, drawn by gnuplot. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/book.h"
#include "clean.h"
#include "copool.h"
#include "draw/figure.h"
#include "log/logs.h"
#include "draw/output.h"
#include "log/series.h"
#include "verb.h"

enum { NAMED_MAX = 16 }; /* pools that are named if the wanted one does not exist */

struct plot {
	const char *path;
	const char *format;
	const char *pool; /* NULL: the busiest */
	json_int_t pid;   /* 0: any */
	bool script;
	char **logs;
};

static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "Where to write the picture: FILE.svg, FILE.png or FILE.pdf", 0},
        {"pool", 'p', "NAME", 0, "The pool to draw (the one with the most creates)", 0},
        {"pid", 'P', "PID", 0, "The process to draw", 0},
        {"script", 's', NULL, 0, "Print the script for gnuplot, and draw nothing", 0},
        {0},
};

static json_int_t parse_pid(const char *value, struct argp_state *state)
{
	char *end;

	errno = 0;
	long pid = strtol(value, &end, 10);
	if (errno || end == value || *end || pid <= 0)
		argp_error(state, "--pid: `%s' is no process id", value);
	return pid;
}

/* The end of the path sets the format; --script needs none. */
static void check_path(struct plot *plot, struct argp_state *state)
{
	const char *dot = plot->path != NULL ? strrchr(plot->path, '.') : NULL;

	if (plot->path == NULL && plot->script) {
		plot->format = "svg";
		return;
	}
	if (plot->path == NULL || !*plot->path)
		argp_error(state, "where to? Add -o FILE.svg, FILE.png or FILE.pdf");
	if (dot == NULL || !figure_has_format(dot + 1))
		argp_error(state, "`%s' ends in none of .svg, .png and .pdf", clean(plot->path));
	plot->format = dot + 1;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct plot *plot = state->input;

	switch (key) {
	case 'o':
		plot->path = value;
		return 0;
	case 'p':
		plot->pool = value;
		return 0;
	case 'P':
		plot->pid = parse_pid(value, state);
		return 0;
	case 's':
		plot->script = true;
		return 0;
	case ARGP_KEY_END:
		check_path(plot, state);
		return 0;
	}
	return verb_arguments(key, state, &plot->logs, "which log?");
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "LOG... -o FILE",
        .doc = "Draws one pool of statistics logs over time, with gnuplot: creates, misses and objects given "
               "back a second, and the objects that existed. A LOG named `-' is standard input.\v"
               "FILE is replaced as a whole, or not at all. The exit status is 0; 1 if a log cannot be read, "
               "has nothing to draw, or the picture cannot be made; 2 for a wrong option.",
};

/* Chooses what to draw. Returns false if there is no such pool. */
static bool choose(
        const struct book *book, const struct series_set *set, const struct plot *plot, struct figure *figure)
{
	json_int_t most = -1;

	for (size_t i = 0; i < book->processes; i++) {
		const struct book_process *process = &book->process[i];
		for (size_t j = 0; j < process->pools; j++) {
			const char *name = json_string_value(json_object_get(process->pool[j], "pool"));
			json_int_t creates = book_counter(process->pool[j], "create_local") +
			                     book_counter(process->pool[j], "create_depot") +
			                     book_counter(process->pool[j], "create_new");
			if (creates <= most || (plot->pid && process->pid != plot->pid) ||
			        (plot->pool != NULL && strcmp(name, plot->pool) != 0) ||
			        !figure_has_content(series_of(set, i, j)))
				continue;
			most = creates;
			figure->process = process;
			figure->pool = process->pool[j];
			figure->series = series_of(set, i, j);
		}
	}
	return most >= 0;
}

static bool is_named_before(const struct book *book, size_t process, size_t pool)
{
	const char *name = json_string_value(json_object_get(book->process[process].pool[pool], "pool"));

	for (size_t i = 0; i <= process; i++) {
		for (size_t j = 0; j < (i < process ? book->process[i].pools : pool); j++) {
			if (strcmp(name, json_string_value(
			                         json_object_get(book->process[i].pool[j], "pool"))) == 0)
				return true;
		}
	}
	return false;
}

/* Reports why there is nothing to draw, and which pools exist. */
static void explain(const struct book *book, const struct plot *plot)
{
	size_t named = 0;
	bool is_there = false, has_process = plot->pid == 0;

	for (size_t i = 0; i < book->processes; i++)
		has_process |= book->process[i].pid == plot->pid;
	if (!has_process) {
		fprintf(stderr,
		        "copool plot: the logs have no counters of process %" JSON_INTEGER_FORMAT "\n",
		        plot->pid);
		return;
	}
	for (size_t i = 0; plot->pool != NULL && i < book->processes; i++) {
		for (size_t j = 0; j < book->process[i].pools; j++)
			is_there |= strcmp(plot->pool, json_string_value(json_object_get(
			                                       book->process[i].pool[j], "pool"))) == 0;
	}
	if (plot->pool == NULL || is_there) {
		fprintf(stderr, "copool plot: there are no two samples of %s\n",
		        plot->pool != NULL || plot->pid ? "such a pool" : "any pool");
		return;
	}
	fprintf(stderr, "copool plot: there is no pool `%s'", clean(plot->pool));
	for (size_t i = 0; i < book->processes; i++) {
		for (size_t j = 0; j < book->process[i].pools && named < NAMED_MAX; j++) {
			if (is_named_before(book, i, j))
				continue;
			fprintf(stderr, "%s`%s'", named++ > 0 ? ", " : "; there are ",
			        clean(json_string_value(json_object_get(book->process[i].pool[j], "pool"))));
		}
	}
	fprintf(stderr, "%s\n", named == NAMED_MAX ? " and perhaps others" : "");
}

static void become_gnuplot(FILE *script, FILE *picture)
{
	char *arguments[] = {"gnuplot", "--default-settings", "/dev/stdin", NULL};

	if (dup2(fileno(script), STDIN_FILENO) < 0 || dup2(fileno(picture), STDOUT_FILENO) < 0)
		_exit(EXIT_OURS);
	setenv("LC_ALL", "C.UTF-8", 1); /* the script is in UTF-8 */
	execvp(arguments[0], arguments);
	if (errno == ENOENT)
		fprintf(stderr,
		        "copool plot: there is no gnuplot; install it (on Debian: gnuplot-nox), or take "
		        "--script\n");
	else
		fprintf(stderr, "copool plot: cannot run gnuplot: %s\n", strerror(errno));
	_exit(EXIT_NOT_FOUND);
}

/* Runs the script, with its output to `picture`. Returns 0, or 1 after a message. */
static int run_gnuplot(FILE *script, FILE *picture)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		become_gnuplot(script, picture);
	if (child < 0) {
		fprintf(stderr, "copool plot: cannot start gnuplot: %s\n", strerror(errno));
		return 1;
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_NOT_FOUND)
		fprintf(stderr, "copool plot: gnuplot failed\n");
	return 1;
}

static int copy_picture(FILE *picture, const char *path)
{
	struct output output;
	char buffer[1 << 14];
	size_t bytes;
	int error = output_open(&output, path);

	if (error == 0) {
		rewind(picture);
		while ((bytes = fread(buffer, 1, sizeof buffer, picture)) > 0)
			fwrite(buffer, 1, bytes, output.file);
		error = output_commit(&output);
	}
	if (error)
		fprintf(stderr, "copool plot: cannot write %s: %s\n", clean(path), strerror(-error));
	return error ? 1 : 0;
}

/* A file in memory, because gnuplot does not report a full disk. */
static FILE *open_memory(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd < 0 ? NULL : fdopen(fd, "w+");
}

static int write_picture(const struct figure *figure, const char *path)
{
	FILE *script = open_memory("script");
	FILE *picture = open_memory("picture");
	int status = 1;

	if (script != NULL)
		figure_write(figure, script);
	if (script == NULL || picture == NULL || fflush(script) != 0)
		fprintf(stderr, "copool plot: no memory for the picture: %s\n", strerror(errno));
	else if (run_gnuplot(script, picture) == 0)
		status = copy_picture(picture, path);
	if (script != NULL)
		fclose(script);
	if (picture != NULL)
		fclose(picture);
	return status;
}

static int write_script(struct figure *figure, const char *path)
{
	figure->output = path;
	figure_write(figure, stdout);
	return verb_end("plot", 0, 1);
}

int cmd_plot(int argc, char **argv)
{
	static struct book book;
	struct series_set *series = NULL;
	struct plot plot = {0};
	struct figure figure = {0};

	if (argp_parse(&argp, argc, argv, 0, NULL, &plot) != 0 || book_open(&book) != 0 ||
	        series_open(&series, &book) != 0) {
		fprintf(stderr, "copool plot: out of memory\n");
		return 1;
	}
	int status = logs_read(&book, "plot", plot.logs, NULL);
	logs_tell(&book, "plot");
	figure.format = plot.format;
	if (!choose(&book, series, &plot, &figure)) {
		if (book.records > 0)
			explain(&book, &plot);
		status = 1;
	} else {
		status |= plot.script ? write_script(&figure, plot.path) : write_picture(&figure, plot.path);
	}
	series_close(series);
	book_close(&book);
	return status;
}
