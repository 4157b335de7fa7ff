/* SPDX-License-Identifier: MIT */
/* copool advise: how other settings would have served the demand in a log. */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "advise/advice.h"
#include "amount.h"
#include "log/book.h"
#include "clean.h"
#include "progress.h"
#include "copool.h"
#include "fold.h"
#include "judge/demand.h"
#include "log/held.h"
#include "log/stack_size.h"
#include "judge/judge.h"
#include "log/logs.h"
#include "report/record.h"
#include "settings.h"
#include "verb.h"

enum { TEXT_BYTES = 512 };

struct request {
	bool json;
	long decay_ms, max_batches; /* -1: not asked for */
	char **logs;
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "Write one JSON object instead of tables", 0},
        {"decay", 'd', "MS", 0, "Also try COPOOL_DECAY_MS=MS", 0},
        {"max-batches", 'b', "N", 0, "Also try COPOOL_MAX_BATCHES=N", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct request *request = state->input;

	switch (key) {
	case 'j':
		request->json = true;
		return 0;
	case 'd':
		request->decay_ms = verb_setting(state, "decay", value, SETTING_decay_ms);
		return 0;
	case 'b':
		request->max_batches = verb_setting(state, "max-batches", value, SETTING_max_batches);
		return 0;
	}
	return verb_arguments(key, state, &request->logs, "which log?");
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "LOG...",
        .doc = "Replays the demand in statistics logs against other settings of COPOOL_DECAY_MS and "
               "COPOOL_MAX_BATCHES, and shows how many misses and how much memory each would cost. A LOG "
               "named `-' is standard input.\v"
               "The log has the demand only from sample to sample; shorter intervals (COPOOL_INTERVAL_MS) "
               "say more. The exit status is 0; 1 if a log cannot be read, or none of its pools can be "
               "replayed; 2 for a wrong option.",
};

/* ---- one pool ---- */

struct subject {
	const struct book_process *process;
	const struct demand *demand;
	const char *pool;
	struct tuning present;
	bool is_known;             /* the present setting, from the log */
	double bytes;              /* of memory per idle object; 0: not known */
	const char *why;           /* why there is no advice; NULL: there is */
	struct judgement foreseen; /* if the program was only observed: what copool would have done for it */
	struct advice advice;
};

static const char *why_not(const struct subject *subject)
{
	const char *mode = json_string_value(json_object_get(subject->process->open, "mode"));

	if (subject->demand->is_old)
		return "the log is of an older copool, and has no depot_low";
	if (mode != NULL && strcmp(mode, "observe") == 0)
		return "the program was only observed";
	if (subject->process->was_off)
		return "copool off was used, so its settings did not always hold";
	if (mode != NULL && strcmp(mode, "pool") != 0 && strcmp(mode, "overflow") != 0)
		return "the program was not pooled";
	if (subject->demand->is_counted)
		return "this pool only counts: another one keeps its objects";
	if (subject->demand->steps < ADVICE_STEPS_MIN)
		return "too few samples";
	return NULL;
}

static void find_present(struct subject *subject)
{
	const json_t *open = subject->process->open;
	const json_t *decay = json_object_get(open, "decay_ms"), *cap = json_object_get(open, "max_batches");
	json_int_t seen = (json_int_t)(subject->demand->most_depot / RECORD_BATCH_SIZE);
	json_int_t most = settings[SETTING_max_batches].high;
	json_int_t batches = json_is_integer(cap) ? json_integer_value(cap) : most;
	json_int_t ms = json_is_integer(decay) ? json_integer_value(decay) : 0;

	subject->is_known = json_is_integer(decay) && json_is_integer(cap);
	/* Stacks that cost no memory maps have their own cap. */
	if (batches < seen || batches > most)
		batches = most;
	subject->present.max_batches = batches < 0 ? 0 : (unsigned)batches;
	subject->present.decay_ms = ms < 0 || ms > settings[SETTING_decay_ms].high ? 0 : (unsigned)ms;
}

/* The memory of an idle object; 0 if it was not measured. */
static double find_bytes(const struct subject *subject)
{
	struct held held = held_each(subject->process, subject->demand->pool);

	return held.how == HELD_SEEN ? held.bytes : 0;
}

static void study(const struct book *book, const struct demand *demand, const struct request *request,
        struct subject *subject)
{
	memset(subject, 0, sizeof *subject);
	subject->demand = demand;
	subject->process = &book->process[demand->process];
	subject->pool = json_string_value(json_object_get(subject->process->pool[demand->pool], "pool"));
	subject->why = why_not(subject);
	const char *mode = json_string_value(json_object_get(subject->process->open, "mode"));
	if (mode != NULL && strcmp(mode, "observe") == 0 && !judge_is_beneath(subject->process, demand->pool))
		judge(&(struct judge_case){subject->process, demand->pool, NULL, demand, false},
		        &subject->foreseen);
	if (subject->why != NULL)
		return;
	find_present(subject);
	subject->bytes = find_bytes(subject);
	advise(demand, &subject->present, request->decay_ms, request->max_batches, &subject->advice);
}

/* ---- words ---- */

static char *lasted(const struct subject *subject, char text[32])
{
	double seconds = (subject->demand->last.ms - subject->demand->first.ms) / 1000;

	if (seconds < 120)
		snprintf(text, 32, "%.3g seconds", seconds);
	else if (seconds < 7200)
		snprintf(text, 32, "%.0f minutes", seconds / 60);
	else
		snprintf(text, 32, "%.0f hours", seconds / 3600);
	return text;
}

/* "1,024 fewer objects (about 12 MiB)" */
static char *objects(const struct subject *subject, double number, const char *word, char *text, size_t room)
{
	char count[32], size[32];

	if (subject->bytes > 0)
		snprintf(text, room, "%s %s idle objects (about %s)", amount_grouped(number, count), word,
		        amount_bytes(number * subject->bytes, size));
	else
		snprintf(text, room, "%s %s idle objects", amount_grouped(number, count), word);
	return text;
}

static char *name_setting(
        const struct subject *subject, const struct tuning *setting, char *text, size_t room)
{
	if (setting->max_batches != subject->present.max_batches &&
	        setting->decay_ms != subject->present.decay_ms)
		snprintf(text, room, "COPOOL_MAX_BATCHES=%u with COPOOL_DECAY_MS=%u", setting->max_batches,
		        setting->decay_ms);
	else if (setting->max_batches != subject->present.max_batches)
		snprintf(text, room, "COPOOL_MAX_BATCHES=%u", setting->max_batches);
	else
		snprintf(text, room, "COPOOL_DECAY_MS=%u", setting->decay_ms);
	return text;
}

/* The advice, in one sentence. */
static void say(const struct subject *subject, char text[TEXT_BYTES])
{
	const struct advice *advice = &subject->advice;
	const struct advice_row *present = &advice->row[advice->present],
	                        *better = &advice->row[advice->better];
	double fewer = present->idle - better->idle, more = better->misses - present->misses;
	char setting[64], idle[128], misses[32], time[32];

	if (advice->kind == ADVICE_NONE) {
		snprintf(text, TEXT_BYTES,
		        "No advice: with the present settings the replay has %s misses where there were %s.",
		        amount_grouped(advice->replayed, idle), amount_grouped(advice->misses, misses));
		return;
	}
	if (advice->kind == ADVICE_FINE) {
		snprintf(text, TEXT_BYTES,
		        "The present settings are fine: none of the others saves much at a fair price.");
		return;
	}
	name_setting(subject, &better->setting, setting, sizeof setting);
	if (advice->kind == ADVICE_FEWER_MISSES)
		snprintf(text, TEXT_BYTES, "%s would save %s misses in %s for %s.", setting,
		        amount_grouped(-more, misses), lasted(subject, time),
		        objects(subject, -fewer, "more", idle, sizeof idle));
	else
		snprintf(text, TEXT_BYTES, "%s would keep %s for %s more misses in %s.", setting,
		        objects(subject, fewer, "fewer", idle, sizeof idle),
		        more >= 0.5 ? amount_grouped(more, misses) : "no", lasted(subject, time));
}

/* ---- tables ---- */

static void print_row(const struct subject *subject, const struct advice_row *row, bool is_present)
{
	char decay[32], idle[32], most[32], misses[32], size[32] = "-";

	if (subject->bytes > 0)
		amount_bytes(row->idle * subject->bytes, size);
	if (row->setting.decay_ms)
		snprintf(decay, sizeof decay, "%u", row->setting.decay_ms);
	printf("  %c %11u %10s %10s %10s %10s %12s\n", is_present ? '*' : ' ', row->setting.max_batches,
	        row->setting.decay_ms ? decay : "never", amount_grouped(row->idle, idle), size,
	        amount_grouped(row->idle_most, most), amount_grouped(row->misses, misses));
}

static void print_doubts(const struct subject *subject)
{
	printf("  The log has a sample every %.3g s, and says little about shorter times.\n",
	        (subject->demand->last.ms - subject->demand->first.ms) / 1000 /
	                (double)subject->demand->steps);
	if (!subject->is_known)
		printf("  The log does not say which settings were in force; these are guesses.\n");
}

static void print_subject(const struct subject *subject)
{
	const char *program = json_string_value(json_object_get(subject->process->open, "program"));
	char text[TEXT_BYTES], time[32], misses[32], creates[32];

	printf("%s [%" JSON_INTEGER_FORMAT "], %s", clean(program), subject->process->pid,
	        clean(subject->pool));
	if (subject->why != NULL && *subject->foreseen.text) {
		printf(": %s. %s\n", subject->foreseen.word, subject->foreseen.text);
		return;
	}
	if (subject->why != NULL) {
		printf(": no advice: %s\n", subject->why);
		return;
	}
	printf(": %s creates in %s, %s misses\n",
	        amount_grouped(subject->demand->last.created - subject->demand->first.created, creates),
	        lasted(subject, time), amount_grouped(subject->advice.misses, misses));
	printf("    %11s %10s %10s %10s %10s %12s\n", "max batches", "decay ms", "mean idle", "memory",
	        "most idle", "misses");
	for (size_t i = 0; i < subject->advice.rows; i++)
		print_row(subject, &subject->advice.row[i], i == subject->advice.present);
	say(subject, text);
	printf("  %s\n", text);
	print_doubts(subject);
}

/* ---- JSON ---- */

static json_t *row_as_json(const struct subject *subject, const struct advice_row *row)
{
	json_t *object = json_pack("{s:I, s:I, s:f, s:f, s:f}", "max_batches",
	        (json_int_t)row->setting.max_batches, "decay_ms", (json_int_t)row->setting.decay_ms, "idle",
	        row->idle, "idle_most", row->idle_most, "misses", row->misses);

	if (subject->bytes > 0)
		json_object_set_new(object, "idle_bytes", json_real(row->idle * subject->bytes));
	return object;
}

static json_t *subject_as_json(const struct subject *subject)
{
	const struct advice *advice = &subject->advice;
	json_t *object = json_pack("{s:I, s:s, s:f}", "pid", subject->process->pid, "pool", subject->pool,
	        "samples", subject->demand->samples);
	char text[TEXT_BYTES];

	if (*subject->foreseen.text) {
		const struct judge_case which = {
		        subject->process, subject->demand->pool, NULL, subject->demand, false};
		json_object_set_new(object, "foreseen_saved", json_real(judge_foreseen(&which)));
		json_object_set_new(object, "text", json_string(subject->foreseen.text));
	}
	if (subject->why != NULL) {
		json_object_set_new(object, "why_not", json_string(subject->why));
		return object;
	}
	json_t *rows = json_array();
	for (size_t i = 0; i < advice->rows; i++)
		json_array_append_new(rows, row_as_json(subject, &advice->row[i]));
	say(subject, text);
	json_t *rest = json_pack("{s:f, s:f, s:f, s:b, s:b, s:o, s:s, s:o}", "ms",
	        subject->demand->last.ms - subject->demand->first.ms, "misses", advice->misses, "replayed",
	        advice->replayed, "is_sound", advice_is_sound(advice), "is_known", subject->is_known,
	        "present", row_as_json(subject, &advice->row[advice->present]), "text", text, "settings",
	        rows);
	json_object_update(object, rest);
	json_decref(rest);
	json_object_set_new(object, "advice",
	        advice->kind <= ADVICE_FINE ? json_null()
	                                    : row_as_json(subject, &advice->row[advice->better]));
	return object;
}

/* ---- all ---- */

/* Returns how many pools there was advice on. */
static size_t print_all(const struct book *book, const struct demands *demands, const struct request *request)
{
	json_t *pools = json_array();
	struct subject subject;
	size_t studied = 0;

	for (size_t i = 0; i < demands->pools; i++) {
		progress_begin();
		study(book, demands->of[i], request, &subject);
		progress_end();
		studied += subject.why == NULL || *subject.foreseen.text;
		if (request->json)
			json_array_append_new(pools, subject_as_json(&subject));
		else
			print_subject(&subject);
	}
	if (request->json) {
		json_t *all = json_pack("{s:O}", "pools", pools);
		clean_json(all, JSON_INDENT(2) | JSON_REAL_PRECISION(12), stdout);
		json_decref(all);
	} else if (demands->left_out) {
		printf("note: %llu records left out: there are too many pools\n", demands->left_out);
	}
	json_decref(pools);
	return studied;
}

int cmd_advise(int argc, char **argv)
{
	struct request request = {.decay_ms = -1, .max_batches = -1};
	static struct demands demands;
	static struct book book;

	if (argp_parse(&argp, argc, argv, 0, NULL, &request) != 0 || book_open(&book) != 0) {
		fprintf(stderr, "copool advise: out of memory\n");
		return 1;
	}
	if (!request.json)
		fold_stdout();
	demands_watch(&demands, &book);
	int status = logs_read(&book, "advise", request.logs, NULL);
	logs_tell(&book, "advise");
	if (print_all(&book, &demands, &request) == 0)
		status = 1;
	if (demands.pools == 0 && book.records > 0)
		fprintf(stderr, "copool advise: the logs have no samples\n");
	demands_free(&demands);
	book_close(&book);
	return verb_end("advise", status, 1);
}
