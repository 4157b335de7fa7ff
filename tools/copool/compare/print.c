/* SPDX-License-Identifier: MIT */
#include "compare/print.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "clean.h"

enum { LABEL_WIDTH = 20, COLUMN_WIDTH = 29 }; /* 80 columns together */

static void write_value(char *text, size_t bytes, enum trial_metric metric, double value)
{
	switch (metric) {
	case TRIAL_MISS_RATE:
		snprintf(text, bytes, "%.2f %%", value * 100);
		break;
	case TRIAL_RESIDENT:
		snprintf(text, bytes, "%.1f MiB", value / 1024);
		break;
	case TRIAL_WALL:
	case TRIAL_CPU:
		snprintf(text, bytes, "%.3f s", value);
		break;
	default:
		snprintf(text, bytes, "%.0f", value);
	}
}

/* Writes the median ("-": not known), and the range if the runs differ, otherwise "". */
static void write_spread(
        char *text, char *range, size_t bytes, enum trial_metric metric, struct spread spread)
{
	char low[32], high[32];

	*range = '\0';
	if (isnan(spread.median)) {
		snprintf(text, bytes, "-");
		return;
	}
	write_value(text, bytes, metric, spread.median);
	write_value(low, sizeof low, metric, spread.low);
	write_value(high, sizeof high, metric, spread.high);
	if (strcmp(low, high) == 0)
		return;
	low[strcspn(low, " ")] = '\0'; /* the unit is written once */
	high[strcspn(high, " ")] = '\0';
	snprintf(range, bytes, "(%s .. %s)", low, high);
}

static void print_row(const char *label, const char *stock, const char *pooled)
{
	printf("%-*s %*s %*s\n", LABEL_WIDTH, label, COLUMN_WIDTH, stock, COLUMN_WIDTH, pooled);
}

/* Adds the range to the median. Returns 1 if together they are too wide, otherwise 0. */
static int append(char *text, const char *range)
{
	size_t used = strlen(text);

	if (*range)
		snprintf(text + used, SIDE_STATUS_BYTES - used, " %s", range);
	return strlen(text) > COLUMN_WIDTH;
}

void print_table(const struct side *stock, const struct side *pooled, const char *verdict)
{
	static const char *const words[] = {
#define WORDS(name, json, text) text,
	        TRIAL_METRICS(WORDS)
#undef WORDS
	};
	char left[SIDE_STATUS_BYTES], right[SIDE_STATUS_BYTES];
	char left_range[SIDE_STATUS_BYTES], right_range[SIDE_STATUS_BYTES];

	print_row("", "stock", "pooled");
	for (unsigned metric = 0; metric < TRIAL_METRIC_COUNT; metric++) {
		write_spread(left, left_range, sizeof left, metric, side_spread(stock, metric));
		write_spread(right, right_range, sizeof right, metric, side_spread(pooled, metric));
		/* If both do not fit, the ranges get their own line. */
		if (append(left, left_range) + append(right, right_range) == 0) {
			print_row(words[metric], left, right);
		} else {
			left[strcspn(left, "(")] = right[strcspn(right, "(")] = '\0';
			print_row(words[metric], left, right);
			print_row("", left_range, right_range);
		}
	}
	side_status(stock, left);
	side_status(pooled, right);
	print_row("exit status", left, right);
	printf("%s\n", clean(verdict));
}

static json_t *as_number(double value)
{
	if (isnan(value))
		return json_null();
	return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *side_as_json(const struct side *side)
{
	static const char *const names[] = {
#define NAMES(name, json, text) json,
	        TRIAL_METRICS(NAMES)
#undef NAMES
	};
	json_t *object = json_object(), *runs = json_array();

	for (unsigned metric = 0; metric < TRIAL_METRIC_COUNT; metric++) {
		struct spread spread = side_spread(side, metric);
		json_object_set_new(object, names[metric],
		        json_pack("{s:o, s:o, s:o}", "median", as_number(spread.median), "low",
		                as_number(spread.low), "high", as_number(spread.high)));
	}
	for (unsigned i = 0; i < side->runs; i++) {
		int status = side->trial[i].status;
		json_t *run = json_object();
		for (unsigned metric = 0; metric < TRIAL_METRIC_COUNT; metric++)
			json_object_set_new(run, names[metric], as_number(side->trial[i].value[metric]));
		json_object_set_new(run, "exit_status",
		        WIFSIGNALED(status) ? json_null() : json_integer(WEXITSTATUS(status)));
		json_object_set_new(
		        run, "signal", WIFSIGNALED(status) ? json_integer(WTERMSIG(status)) : json_null());
		json_array_append_new(runs, run);
	}
	json_object_set_new(object, "runs", runs);
	return object;
}

void print_json(char **words, const struct side *stock, const struct side *pooled, enum verdict found,
        const char *verdict)
{
	json_t *program = json_array();

	for (; *words != NULL; words++) {
		json_t *word = json_string(*words);
		json_array_append_new(program, word != NULL ? word : json_string("?")); /* not UTF-8 */
	}
	json_t *all = json_pack("{s:o, s:o, s:o, s:o, s:s}", "program", program, "stock", side_as_json(stock),
	        "pooled", side_as_json(pooled), "helps",
	        found == VERDICT_NONE ? json_null() : json_boolean(found == VERDICT_HELPS), "verdict",
	        verdict);
	clean_json(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9), stdout);
	json_decref(all);
}
