/* SPDX-License-Identifier: MIT */
/* copool record: a log of a process that writes none itself. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"
#include "log/book_json.h"
#include "progress.h"
#include "process/ending.h"
#include "process/recorder.h"
#include "verb.h"
#include "verb.h"

enum { KEY_FOR = 'f', KEY_APPEND = 'a', LONG_TEXTS = 3 };

struct record {
	const char *path;
	bool is_append, is_json;
	bool has_pid;
	FILE *file;
	struct recorder recorder;
};

static const struct argp_option options[] = {
        {"output", 'o', "LOG", 0,
                "Where to write the log; `-' is standard output. An existing file is refused", 0},
        {"append", KEY_APPEND, NULL, 0, "Append to LOG if it exists", 0},
        {"for", KEY_FOR, "SECONDS", 0, "End after this time (0.1 to 100000000), if the process has not ended",
                0},
        {"json", 'j', NULL, 0, "Write one JSON object at the end: how many samples there are", 0},
        {"interval", 'i', "MS", 0, "Milliseconds from sample to sample (10 to 3600000; 1000)", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct record *record = state->input;
	struct recorder *recorder = &record->recorder;

	switch (key) {
	case 'o':
		record->path = value;
		return 0;
	case 'j':
		record->is_json = true;
		return 0;
	case KEY_APPEND:
		record->is_append = true;
		return 0;
	case KEY_FOR:
		if (!recorder_seconds(value, &recorder->seconds))
			argp_error(state, "--for=%s: from 0.1 to 100000000 seconds", value);
		return 0;
	case 'i':
		recorder->interval_ms = verb_setting(state, "interval", value, SETTING_interval_ms);
		return 0;
	case ARGP_KEY_ARG:
		if (record->has_pid)
			argp_error(state, "one process is enough");
		if (!remote_pid(value, &recorder->pid))
			argp_error(state, "%s: not a process id", clean(value));
		record->has_pid = true;
		return 0;
	case ARGP_KEY_END:
		if (!record->has_pid)
			argp_error(state, "which process?");
		if (record->path == NULL || !*record->path)
			argp_error(state, "where to? Add -o LOG");
		if (record->is_json && strcmp(record->path, "-") == 0)
			argp_error(state, "--json and a log on standard output exclude each other");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {.options = options,
        .parser = parse,
        .args_doc = "PID -o LOG",
        .doc = "Samples a running process that has libcopool.so loaded and writes no log, so that report, "
               "plot and advise can read one. It ends with the process, on ctrl-c, or when --for is over.\v"
               "The log lacks what only the process knows: its last counters, warnings, origins and how deep "
               "stacks are used. The exit status is 0; 1 if the process cannot be examined or LOG cannot be "
               "written; 2 for a wrong option."};

/* Writes a line as the library would. Texts that make it too long, which only a lying process has, are removed. */
static int write_record(void *context, json_t *record)
{
	static const char *const long_texts[LONG_TEXTS] = {"detail", "label", "version"};
	struct record *own = context;
	char *line = json_dumps(record, JSON_COMPACT);

	for (size_t i = 0; line != NULL && strlen(line) + 2 > RECORD_LINE_BYTES && i < LONG_TEXTS; i++) {
		free(line);
		json_object_del(record, long_texts[i]);
		line = json_dumps(record, JSON_COMPACT);
	}
	if (line == NULL)
		return -ENOMEM;
	bool is_good = strlen(line) + 2 <= RECORD_LINE_BYTES;
	if (is_good)
		fprintf(own->file, "%s\n", line);
	free(line);
	return fflush(own->file) == 0 && !ferror(own->file) ? 0 : -errno;
}

/* Returns 0, or 1 after a message. */
static int open_log(struct record *record)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (record->is_append ? 0 : O_EXCL);

	if (strcmp(record->path, "-") == 0) {
		record->file = stdout;
		return 0;
	}
	int fd = open(record->path, flags, 0640);
	record->file = fd >= 0 ? fdopen(fd, "a") : NULL;
	if (record->file != NULL)
		return 0;
	if (errno == EEXIST)
		fprintf(stderr, "copool record: %s exists already; --append adds to it\n",
		        clean(record->path));
	else
		fprintf(stderr, "copool record: cannot write %s: %s\n", clean(record->path), strerror(errno));
	return 1;
}

static int print_json(const struct record *record)
{
	json_t *object = json_pack("{s:i, s:o, s:I, s:b}", "pid", (int)record->recorder.pid, "log",
	        json_text(record->path), "samples", (json_int_t)record->recorder.samples, "ended",
	        record->recorder.has_ended);

	clean_json(object, JSON_INDENT(2), stdout);
	json_decref(object);
	return verb_end("record", 0, 1);
}

static void abandon(void)
{
	progress_end();
}

int cmd_record(int argc, char **argv)
{
	static struct record record;
	struct recorder *recorder = &record.recorder;

	*recorder = (struct recorder){.verb = "record",
	        .interval_ms = RECORDER_INTERVAL_MS,
	        .take = write_record,
	        .context = &record};
	if (argp_parse(&argp, argc, argv, 0, NULL, &record) != 0)
		return 1;
	/* Before a file is created that would remain empty. */
	if (remote_open(&recorder->remote, recorder->pid) != 0) {
		fprintf(stderr, "copool record: %s\n", recorder->remote.why);
		return 1;
	}
	if (open_log(&record) != 0)
		return 1;
	ending_watch(abandon);
	int status = recorder_run(recorder);
	if (status == 0 && record.is_json)
		status = print_json(&record);
	else if (status == 0 && record.file != stdout)
		fprintf(stderr, "%llu samples of process %d%s in %s\n", recorder->samples, (int)recorder->pid,
		        recorder->has_ended ? ", which has ended," : "", clean(record.path));
	if (record.file != stdout && fclose(record.file) != 0 && status == 0) {
		fprintf(stderr, "copool record: cannot write %s: %s\n", clean(record.path), strerror(errno));
		status = 1;
	}
	return status ? status : ending_status();
}
