/* copool report: a page that shows what logs say, over time. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "book.h"
#include "book_json.h"
#include "clean.h"
#include "copool.h"
#include "demand.h"
#include "logs.h"
#include "origins.h"
#include "output.h"
#include "page.h"
#include "series.h"

struct report {
	const char *path;
	char **logs;
};

static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "Where the page goes; `-' is standard output", 0},
        {0},
};

/* Whether the page would take the place of a log. */
static bool is_log(const struct report *report)
{
	struct stat page, log;

	if (strcmp(report->path, "-") == 0 || stat(report->path, &page) != 0 || !S_ISREG(page.st_mode))
		return false;
	for (char **path = report->logs; *path; path++) {
		if (stat(*path, &log) == 0 && log.st_dev == page.st_dev && log.st_ino == page.st_ino)
			return true;
	}
	return false;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct report *report = state->input;

	switch (key) {
	case 'o':
		report->path = value;
		return 0;
	case ARGP_KEY_ARGS:
		report->logs = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which log?");
		return 0;
	case ARGP_KEY_END:
		if (!report->path || !*report->path)
			argp_error(state, "where to? -o FILE says it");
		if (is_log(report))
			argp_error(state, "%s is one of the logs", clean(report->path));
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "LOG... -o FILE",
        .doc = "Makes one HTML page of statistics logs: a verdict, key figures and charts over time for each "
               "pool of each process, where misses come from, and the warnings. The page needs no network. A "
               "LOG that is named `-' is standard input.\v"
               "FILE is replaced as a whole, or not at all. The exit status is 0; or 1 when a log cannot be "
               "read or none holds a record, or when FILE cannot be written; 2 for a wrong option.",
};

static int write_page(const struct report *report, const struct page *page)
{
	struct output output;
	int error = output_open(&output, report->path);

	if (error == 0) {
		error = page_write(page, output.file);
		if (error)
			output_discard(&output);
		else
			error = output_commit(&output);
	}
	if (error)
		fprintf(stderr, "copool report: cannot write %s: %s\n", clean(report->path),
		        strerror(-error));
	return error ? 1 : 0;
}

int cmd_report(int argc, char **argv)
{
	static struct book book;
	static struct origins origins;
	static struct demands demands;
	struct series_set *series = NULL;
	struct report report = {0};
	struct page page = {.book = &book,
	        .demands = &demands,
	        .origins = &origins,
	        .logs = json_array(),
	        .unread = json_array()};

	if (argp_parse(&argp, argc, argv, 0, NULL, &report) != 0 || book_open(&book) != 0 ||
	        series_open(&series, &book) != 0) {
		fprintf(stderr, "copool report: out of memory\n");
		return 1;
	}
	origins_open(&origins, &book);
	demands_watch(&demands, &book);
	page.series = series;
	for (char **log = report.logs; *log; log++)
		json_array_append_new(page.logs, json_text(strcmp(*log, "-") == 0 ? "standard input" : *log));
	int status = logs_read(&book, "report", report.logs, page.unread);
	logs_tell(&book, "report");
	if (book.records > 0)
		status |= write_page(&report, &page);
	json_decref(page.logs);
	json_decref(page.unread);
	origins_close(&origins);
	series_close(series);
	demands_free(&demands);
	book_close(&book);
	return status;
}
