/* SPDX-License-Identifier: MIT */
/* What does not depend on time: instructions, depot operations, objects held, system calls; and targets. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COUNTED_PAIRS = 64000 };

/* Depot operations in 1000 pairs; and in *held the objects that there are in the end. */
static double operations(struct entrant *entrant, enum pattern pattern, unsigned threads, uint64_t *held)
{
	struct order order = {.pattern = pattern, .threads = threads, .pairs = COUNTED_PAIRS};
	struct answer answer;

	if (!measure_once(entrant, &order, &answer))
		return NAN;
	*held = answer.held;
	return (double)answer.operations * 1000 / COUNTED_PAIRS / threads;
}

static json_t *json_of(double value)
{
	return isnan(value) ? json_null() : json_real(round(value * 1000) / 1000);
}

/* Instructions and system calls. */
static void count_steps(json_t *row, const struct entrant *entrant, const char *program)
{
	struct steps steps, saw;
	const char *name = entrant->contender;

	if (!steps_count(&steps, program, name, entrant->preload, PING_PONG, entrant->is_called) ||
	        !steps_count(&saw, program, name, entrant->preload, SAW_64, entrant->is_called)) {
		printf(" cannot be stepped through: %m");
		return;
	}
	if (entrant->is_called) {
		printf(" %5lu + %3lu = %3lu %14lu", steps.take.least, steps.put.least,
		        steps.take.least + steps.put.least, saw.take.system_calls + saw.put.system_calls);
		json_object_set_new(row, "take, least", json_integer((json_int_t)steps.take.least));
		json_object_set_new(row, "put, least", json_integer((json_int_t)steps.put.least));
		json_object_set_new(row, "instructions a pair",
		        json_integer((json_int_t)(steps.take.least + steps.put.least)));
		json_object_set_new(row, "system calls",
		        json_integer((json_int_t)(saw.take.system_calls + saw.put.system_calls)));
	} else {
		printf(" %17.1f %14s", steps.pair, "");
		json_object_set_new(row, "instructions a pair", json_of(steps.pair));
	}
}

static void count_operations(json_t *row, struct entrant *entrant)
{
	double worst = 0, hand_over, saw;
	uint64_t held = 0;

	if (entrant->preload != NULL || strcmp(entrant->contender, "malloc") == 0)
		return;
	for (enum pattern pattern = EDGE_2; pattern <= EDGE_32; pattern++) {
		double here = operations(entrant, pattern, 1, &held);

		worst = here > worst ? here : worst;
	}
	saw = operations(entrant, SAW_1000, 1, &held);
	hand_over = operations(entrant, HAND_OVER, 2, &held);
	printf(" %10.2f %10.2f %10.2f %8lu", worst, saw, hand_over, (unsigned long)held);
	json_object_set_new(row, "depot operations in 1000 pairs, edge at worst", json_of(worst));
	json_object_set_new(row, "depot operations in 1000 pairs, sawtooth 1000", json_of(saw));
	json_object_set_new(row, "depot operations in 1000 pairs, hand over", json_of(hand_over));
	json_object_set_new(row, "objects held after a hand over", json_integer((json_int_t)held));
}

void report_counts(struct report *report, const char *program)
{
	json_t *table = json_object();

	json_object_set_new(report->json, "counts", table);
	printf("\n%-28s %17s %14s %10s %10s %10s %8s\n", "counts", "instructions", "system calls",
	        "depot/1000", "depot/1000", "depot/1000", "objects");
	printf("%-28s %17s %14s %10s %10s %10s %8s\n", "", "take + put", "sawtooth 64", "edge", "saw 1000",
	        "hand over", "held");
	for (unsigned i = 0; i < report->count; i++) {
		struct entrant *entrant = &report->entrants[i];
		json_t *row = json_object();

		json_object_set_new(table, entrant->label, row);
		if (!entrant->is_here)
			continue;
		printf("%-28s", entrant->label);
		count_steps(row, entrant, program);
		count_operations(row, entrant);
		printf("\n");
	}
	fflush(stdout);
}

/* ---- the baseline ---- */

#ifdef __clang__
#define COMPILER "clang " TEXT(__clang_major__)
#else
#define COMPILER "gcc " TEXT(__GNUC__)
#endif
#define TEXT_(macro) #macro
#define TEXT(macro)  TEXT_(macro)

static void keep_steps(
        json_t *counts, const char *take, const char *put, unsigned long take_count, unsigned long put_count)
{
	json_object_set_new(counts, take, json_integer((json_int_t)take_count));
	json_object_set_new(counts, put, json_integer((json_int_t)put_count));
}

bool report_baseline(struct entrant *linked, const struct entrant *interposed, const char *program)
{
	struct steps fast, slow, inlined;
	json_t *counts = json_object(), *baseline;
	uint64_t held;

	if (!steps_count(&fast, program, interposed->contender, interposed->preload, PING_PONG, true) ||
	        !steps_count(&slow, program, interposed->contender, interposed->preload, SAW_64, true) ||
	        !steps_count(&inlined, program, linked->contender, NULL, PING_PONG, false)) {
		fprintf(stderr, "pools: it cannot be stepped through: %m\n");
		return false;
	}
	keep_steps(counts, "instructions, create from the cache", "instructions, destroy into the cache",
	        fast.take.least, fast.put.least);
	keep_steps(counts, "instructions, create with a refill", "instructions, destroy with a spill",
	        slow.take.most, slow.put.most);
	json_object_set_new(counts, "instructions, inlined pair", json_of(inlined.pair));
	keep_steps(counts, "system calls, create", "system calls, destroy", slow.take.system_calls,
	        slow.put.system_calls);
	for (enum pattern pattern = PING_PONG; pattern <= WALK; pattern++) {
		char key[64];

		snprintf(key, sizeof key, "depot operations in 1000 pairs, %s", pattern_names[pattern]);
		json_object_set_new(counts, key, json_of(operations(linked, pattern, 1, &held)));
	}
	baseline = json_pack("{s:s, s:s, s:o}", "compiler", COMPILER, "flags", POOLS_FLAGS, "counts", counts);
	json_dumpf(baseline, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(baseline);
	return linked->is_here;
}

/* ---- targets ---- */

static double figure(const struct report *report, const char *table, const char *row, const char *column)
{
	json_t *cell = json_object_get(json_object_get(json_object_get(report->json, table), row), column);

	if (json_is_object(cell))
		cell = json_object_get(cell, "median_ns");
	return json_is_number(cell) ? json_number_value(cell) : NAN;
}

/* A target that `value` is at most `most`. */
static void judge(struct report *report, const char *what, double value, double most)
{
	json_t *targets = json_object_get(report->json, "targets");
	bool is_met = value <= most;

	if (isnan(value) || isnan(most))
		return;
	if (targets == NULL) {
		targets = json_object();
		json_object_set_new(report->json, "targets", targets);
		printf("\n");
	}
	printf("%-7s %-64s %7.2f, at most %.2f\n", is_met ? "met" : "MISSED", what, value, most);
	json_object_set_new(targets, what,
	        json_pack("{s:f, s:f, s:b}", "value", value, "at_most", most, "is_met", is_met));
}

/* The least of all peers, by a column. */
static double best_peer(const struct report *report, const char *table, const char *column, bool is_allocator)
{
	double best = NAN;

	for (unsigned i = 0; i < report->count; i++) {
		const struct entrant *entrant = &report->entrants[i];
		double value = figure(report, table, entrant->label, column);
		bool fits = strncmp(entrant->label, "copool", 6) != 0 &&
		            strncmp(entrant->label, "bare", 4) != 0 &&
		            strncmp(entrant->label, "structure", 9) != 0 && entrant->is_called;

		if (fits && (!is_allocator || strcmp(entrant->contender, "malloc") == 0) &&
		        (isnan(best) || value < best))
			best = value;
	}
	return best;
}

void report_targets(struct report *report)
{
	static const char one[] = "times, 1 thread", two[] = "times, 2 threads";
	const double ours = figure(report, one, "copool, interposed", "mean");

	judge(report, "inlined, in bare arrays",
	        figure(report, one, "copool", "mean") / figure(report, one, "bare array", "mean"), 1.10);
	judge(report, "interposed, in QEMU 7.2's way behind the same call",
	        ours / figure(report, one, "shared list, called", "mean"), 0.45);
	judge(report, "interposed, in the fastest allocator's malloc and free",
	        ours / best_peer(report, one, "mean", true), 1.00);
	judge(report, "instructions a pair, interposed",
	        figure(report, "counts", "copool, interposed", "instructions a pair"), 21);
	judge(report, "depot operations in 1000 pairs at the edge of a batch",
	        figure(report, "counts", "copool", "depot operations in 1000 pairs, edge at worst"), 0.1);
	judge(report, "hand over, 2 threads, interposed, in the best peer's",
	        figure(report, two, "copool, interposed", "hand over") /
	                best_peer(report, two, "hand over", false),
	        1.00);
}
