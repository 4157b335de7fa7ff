/* SPDX-License-Identifier: MIT */
/* The tables of times. A column `edge` is the geometric mean of the five amplitudes at a batch's edge. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const enum pattern measured[] = {
        PING_PONG, SAW_64, SAW_1000, EDGE_2, EDGE_4, EDGE_8, EDGE_16, EDGE_32, HAND_OVER, WALK};

enum { MEASURED = sizeof measured / sizeof *measured };

static const struct column {
	const char *name;
	enum pattern first, last;
} columns[] = {
        {"ping-pong", PING_PONG, PING_PONG},
        {"saw 64", SAW_64, SAW_64},
        {"saw 1000", SAW_1000, SAW_1000},
        {"edge", EDGE_2, EDGE_32},
        {"hand over", HAND_OVER, HAND_OVER},
        {"walk", WALK, WALK},
};

enum { COLUMNS = sizeof columns / sizeof *columns };

/* NaN, which JSON does not know, is null. */
static json_t *json_of(double value)
{
	return isnan(value) ? json_null() : json_real(round(value * 1000) / 1000);
}

static json_t *child_of(json_t *parent, const char *key)
{
	json_t *child = json_object_get(parent, key);

	if (child == NULL) {
		child = json_object();
		json_object_set_new(parent, key, child);
	}
	return child;
}

static void keep_times(json_t *row, const char *key, const struct times *times)
{
	json_object_set_new(row, key,
	        json_pack("{s:o, s:o, s:o, s:i, s:i}", "median_ns", json_of(times->median), "low_ns",
	                json_of(times->low), "high_ns", json_of(times->high), "kept", (int)times->kept,
	                "dropped", (int)times->dropped));
}

/* A median, and half of what lies between the quartiles as a part of it. */
static void print_cell(const struct times *times, unsigned patterns)
{
	double median[PATTERNS], spread = 0;

	for (unsigned i = 0; i < patterns; i++) {
		median[i] = times[i].median;
		spread += (times[i].high - times[i].low) / 2 / times[i].median / patterns;
	}
	printf(" %7.2f %3.0f%%", geometric_mean(median, patterns), spread * 100);
}

static double print_row(const struct times *times)
{
	double mean[COLUMNS], all;

	for (unsigned c = 0; c < COLUMNS; c++) {
		unsigned patterns = columns[c].last - columns[c].first + 1;
		double median[PATTERNS];

		for (unsigned i = 0; i < patterns; i++)
			median[i] = times[columns[c].first + i].median;
		mean[c] = geometric_mean(median, patterns);
		print_cell(&times[columns[c].first], patterns);
	}
	all = geometric_mean(mean, COLUMNS);
	printf(" %8.2f\n", all);
	return all;
}

static void table_of_times(struct report *report, const struct plan *plan, unsigned threads)
{
	struct times(*times)[PATTERNS] = calloc(report->count, sizeof *times);
	struct times *column = calloc(report->count, sizeof *column);
	char key[32];
	json_t *table;

	snprintf(key, sizeof key, "times, %u thread%s", threads, threads > 1 ? "s" : "");
	table = child_of(report->json, key);
	for (unsigned p = 0; p < MEASURED; p++) {
		struct order order = {.pattern = measured[p], .threads = threads};

		measure(report->entrants, report->count, plan, &order, column);
		for (unsigned i = 0; i < report->count; i++)
			times[i][measured[p]] = column[i];
	}
	printf("\n%-28s", key);
	for (unsigned c = 0; c < COLUMNS; c++)
		printf(" %12s", columns[c].name);
	printf(" %8s   ns a pair: median, spread\n", "mean");
	for (unsigned i = 0; i < report->count; i++) {
		json_t *row;

		if (!report->entrants[i].is_here)
			continue;
		row = child_of(table, report->entrants[i].label);
		printf("%-28s", report->entrants[i].label);
		json_object_set_new(row, "mean", json_of(print_row(times[i])));
		for (unsigned p = 0; p < MEASURED; p++)
			keep_times(row, pattern_names[measured[p]], &times[i][measured[p]]);
	}
	free(times);
	free(column);
}

void report_times(struct report *report, const struct plan *plan)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	json_object_set_new(report->json, "processors", json_integer(cores));
	for (unsigned threads = 1; threads <= THREADS_MOST; threads *= 2) {
		if (threads > 2 && threads > (unsigned long)cores)
			break;
		table_of_times(report, plan, threads);
	}
	fflush(stdout);
}

/* ---- how it grows ---- */

static const unsigned long wides[] = {100, 1000, 10000, 100000, 1000000};
static const unsigned idles[] = {0, 9, 99, 999};

static void scale(struct report *report, const struct plan *plan, const char *key, const char *what,
        const struct order *order, unsigned rounds)
{
	struct times *times = calloc(report->count, sizeof *times);
	struct plan short_plan = {.rounds = rounds, .slice_us = plan->slice_us};
	json_t *table = child_of(report->json, key);

	measure(report->entrants, report->count, &short_plan, order, times);
	for (unsigned i = 0; i < report->count; i++)
		keep_times(child_of(table, report->entrants[i].label), what, &times[i]);
	free(times);
}

static void print_scale(const struct report *report, const char *key, const char *const *what, unsigned count)
{
	json_t *table = json_object_get(report->json, key);

	printf("\n%-28s", key);
	for (unsigned c = 0; c < count; c++)
		printf(" %10s", what[c]);
	printf("   ns a pair\n");
	for (unsigned i = 0; i < report->count; i++) {
		json_t *row = json_object_get(table, report->entrants[i].label);

		if (!report->entrants[i].is_here)
			continue;
		printf("%-28s", report->entrants[i].label);
		for (unsigned c = 0; c < count; c++)
			printf(" %10.2f", json_number_value(json_object_get(
			                          json_object_get(row, what[c]), "median_ns")));
		printf("\n");
	}
}

/* 1, 2, 4, … and as many as there are processors; each thread on a sawtooth that goes to the depot. */
static void scale_busy(struct report *report, const struct plan *plan)
{
	enum { NAMES = 16 };
	static char name[NAMES][8];
	const char *names[NAMES];
	unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), count = 0;

	cores = cores < THREADS_MOST ? cores : THREADS_MOST;
	for (unsigned threads = 1; count < NAMES; threads *= 2) {
		struct order order = {.pattern = SAW_1000, .threads = threads < cores ? threads : cores};

		snprintf(name[count], sizeof name[count], "%u", order.threads);
		names[count] = name[count];
		scale(report, plan, "threads, all busy", names[count++], &order, plan->rounds);
		if (threads >= cores)
			break;
	}
	print_scale(report, "threads, all busy", names, count);
}

void report_scaling(struct report *report, const struct plan *plan)
{
	static const char *const wide_names[] = {"100", "1000", "10000", "100000", "1000000"};
	static const char *const thread_names[] = {"1", "10", "100", "1000"};
	unsigned rounds = plan->rounds < 5 ? plan->rounds : 5;

	scale_busy(report, plan);
	for (unsigned i = 0; i < sizeof wides / sizeof *wides; i++) {
		struct order order = {.pattern = SAW_WIDE, .threads = 1, .wide = wides[i]};

		scale(report, plan, "objects in a sawtooth", wide_names[i], &order,
		        wides[i] > 10000 ? 3 : rounds);
	}
	print_scale(report, "objects in a sawtooth", wide_names, sizeof wides / sizeof *wides);
	for (unsigned i = 0; i < sizeof idles / sizeof *idles; i++) {
		struct order order = {.pattern = SAW_64, .threads = 1, .idle = idles[i]};

		scale(report, plan, "threads, all but one idle", thread_names[i], &order,
		        idles[i] > 100 ? 2 : rounds);
	}
	print_scale(report, "threads, all but one idle", thread_names, sizeof idles / sizeof *idles);
	fflush(stdout);
}

bool report_write(struct report *report, const char *path)
{
	bool is_written = path == NULL || json_dump_file(report->json, path, JSON_INDENT(1)) == 0;

	if (!is_written)
		fprintf(stderr, "pools: %s cannot be written\n", path);
	else if (path != NULL)
		printf("\nall figures: %s\n", path);
	json_decref(report->json);
	return is_written;
}
