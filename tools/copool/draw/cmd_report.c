/* SPDX-License-Identifier: MIT */
/* copool report: a page that shows what logs say, over time. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "draw/baseline.h"
#include "log/book.h"
#include "log/book_json.h"
#include "clean.h"
#include "copool.h"
#include "progress.h"
#include "judge/demand.h"
#include "process/ending.h"
#include "log/logs.h"
#include "log/origins.h"
#include "draw/output.h"
#include "draw/page.h"
#include "process/recorder.h"
#include "log/series.h"
#include "verb.h"

struct report {
	const char *path;
	char **logs;                       /* and process ids */
	char *baseline[BASELINE_LOGS + 1]; /* up to NULL */
	size_t baselines;
	double seconds;
	unsigned interval_ms;
};

static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "Where the page goes; `-' is standard output", 0},
        {"for", 'f', "SECONDS", 0,
                "How long a process is watched (0.1 to 100000000; 10), unless it ends before", 0},
        {"baseline", 'b', "LOG", 0, "Compare the logs with this one; may be given several times", 0},
        {"interval", 'i', "MS", 0, "Milliseconds from sample to sample of a process (10 to 3600000; 1000)",
                0},
        {0},
};

/* Whether the page would take the place of one of these logs, up to NULL. */
static bool is_one_of(const char *page, char *const *logs)
{
	struct stat of_page, of_log;

	if (strcmp(page, "-") == 0 || stat(page, &of_page) != 0 || !S_ISREG(of_page.st_mode))
		return false;
	for (; *logs; logs++) {
		if (stat(*logs, &of_log) == 0 && of_log.st_dev == of_page.st_dev &&
		        of_log.st_ino == of_page.st_ino)
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
	case 'f':
		if (!recorder_seconds(value, &report->seconds))
			argp_error(state, "--for=%s: from 0.1 to 100000000 seconds", value);
		return 0;
	case 'b':
		if (report->baselines == BASELINE_LOGS)
			argp_error(state, "--baseline: at most %d logs", BASELINE_LOGS);
		report->baseline[report->baselines++] = value;
		return 0;
	case 'i':
		report->interval_ms = verb_setting(state, "interval", value, SETTING_interval_ms);
		return 0;
	case ARGP_KEY_ARGS:
		report->logs = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which log, or which process?");
		return 0;
	case ARGP_KEY_END:
		if (!report->path || !*report->path)
			argp_error(state, "where to? Add -o FILE");
		if (is_one_of(report->path, report->logs) || is_one_of(report->path, report->baseline))
			argp_error(state, "%s is one of the logs", clean(report->path));
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "LOG|PID... -o FILE",
        .doc = "Makes one HTML page of statistics logs: a verdict, key figures and charts over time for each "
               "pool of each process, how deep stacks were used, where misses come from, the settings in "
               "force, sums over processes, and the warnings. The page needs no network. A LOG that is named "
               "`-' is standard input. A number is a process, unless there is a file of that name: it needs "
               "no log, and is watched for ten seconds.\v"
               "--baseline=OLD compares the logs with OLD, program by program. If OLD is of an observed run "
               "(copool run --observe) and LOG of a pooled one, the page says whether copool helps.\n\n"
               "FILE is replaced as a whole, or not at all. The exit status is 0; 1 if a log cannot be read, if "
               "there is no record, or if FILE cannot be written; 2 for a wrong option.",
};

static int take_record(void *context, json_t *record)
{
	const char *type = json_string_value(json_object_get(record, "type"));

	/* That it was recorded is nothing to be warned of here. */
	if (strcmp(type, "warning") != 0)
		book_take(context, "process", record);
	return 0;
}

static void abandon(void)
{
	progress_end();
}

/* Reads logs, and watches processes, one after the other. 0, or 1 with a message. */
static int read_all(struct book *book, const struct report *report, const struct page *page)
{
	bool is_watching = false;
	int status = 0;

	for (char **name = report->logs; *name; name++) {
		static struct recorder recorder;

		recorder = (struct recorder){.verb = "report",
		        .seconds = report->seconds,
		        .interval_ms = report->interval_ms,
		        .take = take_record,
		        .context = book};
		if (remote_pid(*name, &recorder.pid) && access(*name, F_OK) != 0) {
			/* A signal ends the watching, and then there is a page of it. */
			if (!is_watching)
				ending_watch(abandon);
			is_watching = true;
			status |= recorder_run(&recorder);
		} else {
			status |= logs_read_one(book, "report", *name, page->unread);
		}
	}
	return logs_check(book, "report", status);
}

static json_t *log_name(const char *log)
{
	return json_text(strcmp(log, "-") == 0 ? "standard input" : log);
}

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

/* 0, or 1 with a message. */
static int read_baseline(struct book *book, struct report *report, struct page *page)
{
	if (report->baselines == 0)
		return 0;
	page->baseline = book;
	for (char **log = report->baseline; *log; log++)
		json_array_append_new(page->baseline_logs, log_name(*log));
	int status = logs_read(book, "report", report->baseline, page->unread);
	logs_tell(book, "report");
	return status;
}

static void close_page(struct page *page)
{
	json_decref(page->logs);
	json_decref(page->unread);
	json_decref(page->baseline_logs);
}

int cmd_report(int argc, char **argv)
{
	static struct book book, before;
	static struct origins origins;
	static struct demands demands;
	struct series_set *series = NULL;
	struct report report = {.seconds = RECORDER_FOR_S, .interval_ms = RECORDER_INTERVAL_MS};
	struct page page = {.book = &book,
	        .demands = &demands,
	        .origins = &origins,
	        .logs = json_array(),
	        .unread = json_array(),
	        .baseline_logs = json_array()};

	if (argp_parse(&argp, argc, argv, 0, NULL, &report) != 0 || book_open(&book) != 0 ||
	        book_open(&before) != 0 || series_open(&series, &book) != 0) {
		fprintf(stderr, "copool report: out of memory\n");
		return 1;
	}
	origins_open(&origins, &book);
	demands_watch(&demands, &book);
	page.series = series;
	for (char **log = report.logs; *log; log++)
		json_array_append_new(page.logs, log_name(*log));
	int status = read_baseline(&before, &report, &page);
	status |= read_all(&book, &report, &page);
	logs_tell(&book, "report");
	if (book.records > 0)
		status |= write_page(&report, &page);
	close_page(&page);
	origins_close(&origins);
	series_close(series);
	demands_free(&demands);
	book_close(&before);
	book_close(&book);
	return status;
}
