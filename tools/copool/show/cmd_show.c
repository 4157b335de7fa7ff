/* SPDX-License-Identifier: MIT */
/* copool show: the last counters of each pool in a log or a process, as a table, JSON or CSV. */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log/book.h"
#include "log/book_json.h"
#include "clean.h"
#include "copool.h"
#include "fold.h"
#include "judge/demand.h"
#include "log/stack_size.h"
#include "judge/judge.h"
#include "log/logs.h"
#include "process/remote.h"
#include "log/series.h"
#include "report/record.h"
#include "verb.h"

enum { SHOW_PIDS = 256, NAME_WIDTH = 14 };

struct show {
	struct series_set *series;
	struct demands demands;
	bool json;
	bool csv;
	char **logs; /* and process IDs; ends with NULL */
	pid_t pid[SHOW_PIDS];
	size_t pids;   /* of --pid */
	bool has_idle; /* a process that has nothing to pool is shown: it has said why */
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "Write one JSON object instead of tables", 0},
        {"csv", 'c', NULL, 0, "Write comma-separated values instead: a line of names, then one for each pool",
                0},
        {"pid", 'p', "PID", 0, "Look into this process; may be given several times", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct show *show = state->input;

	switch (key) {
	case 'j':
		show->json = true;
		return 0;
	case 'c':
		show->csv = true;
		return 0;
	case 'p':
		if (show->pids == SHOW_PIDS)
			argp_error(state, "too many processes");
		else if (!remote_pid(value, &show->pid[show->pids++]))
			argp_error(state, "--pid=%s: not a process id", value);
		return 0;
	case ARGP_KEY_ARGS:
		show->logs = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (show->pids == 0)
			argp_error(state, "which log, or which process?");
		return 0;
	case ARGP_KEY_END:
		if (show->json && show->csv)
			argp_error(state, "--json or --csv, not both");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[LOG|PID...]",
        .doc = "Shows the last counters of each pool of each process in statistics logs, and the warnings; "
               "or the counters of a running process as they are now, which needs no log. A LOG named `-' is "
               "standard input; a number is a process, unless there is a file of that name.\v"
               "Lines that are not records are counted and named, and skipped. The exit status is 0; 1 if a "
               "log or process cannot be read or has no record; 2 for a wrong option.\n\n"
               "The counters are described in copool-log(5).",
};

/* `part` of `whole` in percent, rounded down to two digits, so that 100 % means all. */
static double percent(json_int_t part, json_int_t whole)
{
	return whole > 0 ? (double)(json_int_t)((double)part / (double)whole * 10000) / 100 : 0;
}

enum { SHOW_COLUMNS = 8, SHOW_CELL = 24 };

static const char *const heads[SHOW_COLUMNS] = {
        "creates", "hits", "new", "live", "pooled", "peak", "trimmed", "threads"};

static void write_cells(const struct book_process *process, size_t pool, char cell[SHOW_COLUMNS][SHOW_CELL])
{
	const json_t *record = process->pool[pool];
	static const char *const counters[SHOW_COLUMNS] = {
	        NULL, NULL, "create_new", "live", "pooled", "peak_objects", "trimmed", "threads"};
	json_int_t local = book_counter(record, "create_local"), depot = book_counter(record, "create_depot");
	json_int_t created = local + depot + book_counter(record, "create_new");

	snprintf(cell[0], SHOW_CELL, "%" JSON_INTEGER_FORMAT, created);
	snprintf(cell[1], SHOW_CELL, "-");
	/* Coroutines keep their stacks, so a low share is no fault. */
	if (created > 0 && !judge_is_beneath(process, pool))
		snprintf(cell[1], SHOW_CELL, "%.2f %%", percent(local + depot, created));
	for (size_t i = 2; i < SHOW_COLUMNS; i++)
		snprintf(cell[i], SHOW_CELL, "%" JSON_INTEGER_FORMAT, book_counter(record, counters[i]));
}

/* Each as wide as its widest cell, so that the table fits into 80 columns if possible. */
static void find_widths(const struct book_process *process, int width[SHOW_COLUMNS])
{
	char cell[SHOW_COLUMNS][SHOW_CELL];

	for (size_t i = 0; i < SHOW_COLUMNS; i++)
		width[i] = (int)strlen(heads[i]);
	for (size_t i = 0; i < process->pools; i++) {
		write_cells(process, i, cell);
		for (size_t j = 0; j < SHOW_COLUMNS; j++) {
			int used = (int)strlen(cell[j]);
			width[j] = used > width[j] ? used : width[j];
		}
	}
}

static void print_pool(
        const struct book_process *process, size_t pool, int name_columns, const int width[SHOW_COLUMNS])
{
	const json_t *record = process->pool[pool];
	const char *name = clean(json_string_value(json_object_get(record, "pool")));
	char cell[SHOW_COLUMNS][SHOW_CELL];

	write_cells(process, pool, cell);
	printf("  %s%*s", name, name_columns - (int)clean_width(name), "");
	for (size_t i = 0; i < SHOW_COLUMNS; i++)
		printf(" %*s", width[i], cell[i]);
	putchar('\n');
}

/* The width of the longest name. */
static int name_width(const struct book_process *process)
{
	size_t width = NAME_WIDTH;

	for (size_t i = 0; i < process->pools; i++) {
		size_t name =
		        clean_width(clean(json_string_value(json_object_get(process->pool[i], "pool"))));
		width = name > width ? name : width;
	}
	return (int)width;
}

/* Prints nothing if nothing was saved. */
static void print_savings(const struct book_process *process)
{
	json_int_t calls = 0, maps = 0;

	for (size_t i = 0; i < process->pools; i++) {
		calls += book_counter(process->pool[i], "calls_saved");
		maps += book_counter(process->pool[i], "maps_saved");
	}
	if (calls)
		printf("  saved %s%" JSON_INTEGER_FORMAT " system calls",
		        book_counts_every_hit(process) ? "at most "
		        : book_has_own_pool(process)   ? "about "
		                                       : "",
		        calls);
	if (maps)
		printf("%s%" JSON_INTEGER_FORMAT " guard page%s no memory map", calls ? "; " : "  ", maps,
		        maps == 1 ? " takes" : "s take");
	if (calls || maps)
		putchar('\n');
}

static void print_verdicts(
        const struct show *show, const struct book *book, const struct book_process *process)
{
	size_t index = (size_t)(process - book->process);
	struct judgement said;

	for (size_t i = 0; i < process->pools; i++) {
		struct judge_case which = {process, i, series_of(show->series, index, i),
		        demand_of(&show->demands, index, i), false};
		judge(&which, &said);
		if (said.is_beneath || !*said.word)
			continue;
		printf("  %s: %s. %s", clean(json_string_value(json_object_get(process->pool[i], "pool"))),
		        said.word, said.text);
		for (size_t j = 0; j < said.mores; j++)
			printf(" %s", said.more[j]);
		putchar('\n');
	}
}

static void print_depths(const struct book_process *process)
{
	char text[STACK_SIZE_TEXT];

	for (size_t i = 0; i < process->pools; i++) {
		if (process->depth[i] == NULL)
			continue;
		stack_size_say(process->depth[i], text);
		printf("  %s: %s\n", clean(json_string_value(json_object_get(process->depth[i], "pool"))),
		        text);
	}
}

static void print_confinement(const struct book_process *process)
{
	const char *confined = json_string_value(json_object_get(process->open, "confined"));

	if (confined != NULL)
		printf("  confined by %s\n", clean(confined));
}

/* What was set, and where; but not that this log was asked for. */
static void print_settings(const json_t *open)
{
	static const char *const own[] = {"log=", "tell=", "summary="};
	const json_t *sources = json_object_get(open, "sources");
	const char *before = "  settings: ";
	json_t *setting;
	size_t i;

	json_array_foreach(json_object_get(open, "settings"), i, setting)
	{
		const char *text = json_string_value(setting);
		const char *source = json_string_value(json_array_get(sources, i));
		bool is_told = text != NULL && source != NULL;

		for (size_t j = 0; is_told && strcmp(source, "environment") == 0 && j < 3; j++)
			is_told = strncmp(text, own[j], strlen(own[j])) != 0;
		if (!is_told)
			continue;
		printf("%s%s (%s)", before, clean(text), clean(source));
		before = ", ";
	}
	if (before[0] == ',')
		putchar('\n');
}

static void print_process(
        const struct show *show, const struct book *book, const struct book_process *process)
{
	const char *program = json_string_value(json_object_get(process->open, "program"));
	const char *label = json_string_value(json_object_get(process->open, "label"));
	const char *host = json_string_value(json_object_get(process->open, "host"));
	const char *mode = json_string_value(json_object_get(process->open, "mode"));
	const char *way = json_string_value(json_object_get(process->open, "way"));
	const char *detail = json_string_value(json_object_get(process->open, "detail"));
	json_int_t parent = json_integer_value(json_object_get(process->open, "ppid"));

	printf("%s%s%s [%" JSON_INTEGER_FORMAT "]", clean(program), label != NULL ? " " : "",
	        label != NULL ? clean(label) : "", process->pid);
	if (parent)
		printf(", forked by [%" JSON_INTEGER_FORMAT "]", parent);
	if (process->pools) {
		const json_t *last = process->pool[process->pools - 1];
		const char *type = json_string_value(json_object_get(last, RECORD_KEY_TYPE));
		printf(", %s after %.3f s", strcmp(type, RECORD_FINAL) == 0 ? "ended" : "last seen",
		        (double)book_counter(last, "uptime_ms") / 1000);
	}
	printf("\n  host %s", clean(host != NULL ? host : "unknown"));
	if (mode != NULL && strcmp(mode, "pool") != 0)
		printf(" (%s)", clean(mode));
	else if (way != NULL && host != NULL && strcmp(way, host) != 0)
		printf(" by %s", clean(way));
	if (detail != NULL && *detail)
		printf(": %s", clean(detail));
	putchar('\n');
	print_confinement(process);
	print_settings(process->open);
	if (process->pools == 0) {
		printf("  no counters yet\n\n");
		return;
	}
	int name_columns = name_width(process), width[SHOW_COLUMNS];
	find_widths(process, width);
	printf("  %-*s", name_columns, "pool");
	for (size_t i = 0; i < SHOW_COLUMNS; i++)
		printf(" %*s", width[i], heads[i]);
	putchar('\n');
	for (size_t i = 0; i < process->pools; i++)
		print_pool(process, i, name_columns, width);
	print_savings(process);
	print_verdicts(show, book, process);
	print_depths(process);
	putchar('\n');
}

/* If nothing else is shown, also why. */
static void print_idle(const struct show *show, const struct book *book)
{
	const char *program = json_string_value(json_object_get(book->idle_open, "program")),
	           *detail = json_string_value(json_object_get(book->idle_open, "detail"));

	printf("%llu %s had nothing to pool", book->idle, book->idle == 1 ? "process" : "processes");
	if (book->processes == 0 && !show->has_idle && program != NULL && detail != NULL) {
		printf("%s%s", book->idle == 1 ? ": " : ", the first of them ", clean(program));
		printf(" [%" JSON_INTEGER_FORMAT "]: %s",
		        json_integer_value(json_object_get(book->idle_open, "pid")), clean(detail));
	}
	putchar('\n');
}

static void print_notes(const struct show *show, const struct book *book)
{
	for (size_t i = 0; i < book->warnings; i++) {
		const struct book_warning *warning = &book->warning[i];
		printf("warning [%" JSON_INTEGER_FORMAT "]: %s", warning->pid, clean(warning->text));
		if (warning->count > 1)
			printf(" (%llu times)", warning->count);
		putchar('\n');
	}
	if (book->idle)
		print_idle(show, book);
	for (size_t i = 0; i < BOOK_MISTAKES && i < book->mistakes; i++)
		printf("bad line: %s: %s\n", clean(book->mistake[i].where), book->mistake[i].what);
	if (book->mistakes > BOOK_MISTAKES)
		printf("bad lines: %llu in all\n", book->mistakes);
	if (book->cut_off)
		printf("note: the last line is cut off\n");
	if (book->newest_format > RECORD_FORMAT)
		printf("note: written by a newer copool (format %" JSON_INTEGER_FORMAT
		       "); what this one does not know is not shown\n",
		        book->newest_format);
	if (book->unknown)
		printf("note: %llu records of unknown types skipped\n", book->unknown);
	if (book->left_out)
		printf("note: %llu records left out: there are too many processes, pools or warnings\n",
		        book->left_out);
}

static void print_json(const struct show *show, const struct book *book)
{
	json_t *all = book_as_json(book);

	judge_add(all, book, show->series, &show->demands);
	clean_json(all, JSON_INDENT(2), stdout);
	json_decref(all);
}

/* A field in quotes (RFC 4180); line breaks and what could control a terminal become `?'. */
static void print_field(const json_t *record, const char *name)
{
	const char *text = json_string_value(json_object_get(record, name));

	printf(",\"");
	for (text = clean(text != NULL ? text : ""); *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void print_csv(const struct book *book)
{
	printf("pid,program,host,mode,pool,type,time,uptime_ms");
#define NAME(name, kind, help) printf("," #name);
	RECORD_COUNTERS(NAME)
#undef NAME
	printf(",label\n");
	for (size_t i = 0; i < book->processes; i++) {
		const struct book_process *process = &book->process[i];
		for (size_t j = 0; j < process->pools; j++) {
			const json_t *last = process->pool[j];
			printf("%" JSON_INTEGER_FORMAT, process->pid);
			print_field(process->open, "program");
			print_field(process->open, "host");
			print_field(process->open, "mode");
			print_field(last, "pool");
			print_field(last, RECORD_KEY_TYPE);
			printf(",%.3f,%" JSON_INTEGER_FORMAT,
			        json_number_value(json_object_get(last, RECORD_KEY_TIME)),
			        book_counter(last, "uptime_ms"));
#define VALUE(name, kind, help) printf(",%" JSON_INTEGER_FORMAT, book_counter(last, #name));
			RECORD_COUNTERS(VALUE)
#undef VALUE
			print_field(process->open, "label");
			putchar('\n');
		}
	}
}

static void print_tables(const struct show *show, const struct book *book)
{
	for (size_t i = 0; i < book->processes; i++)
		print_process(show, book, &book->process[i]);
	print_notes(show, book);
}

/* Takes the counters of a process. Returns 0, or 1 after a message. */
static int read_process(struct book *book, struct show *show, pid_t pid)
{
	static struct remote remote;
	json_t *open = NULL, *samples = NULL, *sample;
	size_t i;

	if (remote_open(&remote, pid) == 0)
		open = remote_open_record(&remote);
	if (open != NULL)
		samples = remote_samples(&remote);
	if (samples != NULL) {
		book_take(book, "process", open);
		json_array_foreach(samples, i, sample) book_take(book, "process", sample);
		const char *mode = json_string_value(json_object_get(open, "mode"));
		if (!show->json && !show->csv && strcmp(mode, "none") == 0) {
			print_process(show, book, &(struct book_process){.pid = pid, .open = open});
			show->has_idle = true;
		}
	} else {
		fprintf(stderr, "copool show: %s\n", remote.why);
	}
	json_decref(open);
	json_decref(samples);
	return samples == NULL;
}

static int read_any(struct book *book, struct show *show, const char *name)
{
	pid_t pid;

	if (remote_pid(name, &pid) && access(name, F_OK) != 0)
		return read_process(book, show, pid);
	return logs_read_one(book, "show", name, NULL);
}

int cmd_show(int argc, char **argv)
{
	static struct book book;
	static struct show show;
	int status = 0;

	show = (struct show){0};
	if (argp_parse(&argp, argc, argv, 0, NULL, &show) != 0 || book_open(&book) != 0 ||
	        series_open(&show.series, &book) != 0) {
		fprintf(stderr, "copool show: out of memory\n");
		return 1;
	}
	if (!show.json && !show.csv)
		fold_stdout();
	demands_watch(&show.demands, &book);
	for (size_t i = 0; i < show.pids; i++)
		status |= read_process(&book, &show, show.pid[i]);
	for (char **name = show.logs; name != NULL && *name != NULL; name++)
		status |= read_any(&book, &show, *name);
	status = logs_check(&book, "show", status);
	if (show.json)
		print_json(&show, &book);
	else if (show.csv)
		print_csv(&book);
	else
		print_tables(&show, &book);
	if (show.csv)
		logs_tell(&book, "show");
	demands_free(&show.demands);
	series_close(show.series);
	book_close(&book);
	return verb_end("show", status, 1);
}
