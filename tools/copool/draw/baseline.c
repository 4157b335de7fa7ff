/* SPDX-License-Identifier: MIT */
/*
 * A log contains object counts, not the memory and CPU time of a process. Both are estimated: memory from stack depths,
 * CPU time from what a stack costs on this machine. The page marks them with "about".
 */
#include "draw/baseline.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "amount.h"
#include "clean.h"
#include "judge/cost.h"
#include "log/held.h"
#include "judge/judge.h"
#include "report/record.h"

/* Work that differs by more is not the same work. */
static const double same_work = 0.05;

/* All processes of one program. */
struct sum {
	double processes, ended, uptime_ms; /* of the longest */
	double creates, misses, calls_saved, peak, idle;
	double most_bytes, idle_bytes; /* held by the most objects at once, and by idle ones in the end */
	enum held_how how;             /* the least that is known of any pool */
	const char *mode, *version;
	bool has_own_pool, has_stacks;
};

static const char *text_of(const struct book_process *process, const char *key)
{
	const char *text = json_string_value(json_object_get(process->open, key));

	return text != NULL ? text : "";
}

static void add_pool(struct sum *sum, const struct book_process *process, size_t pool)
{
	const json_t *record = process->pool[pool];
	struct held held = held_each(process, pool);
	double peak = (double)book_counter(record, "peak_objects");
	double idle = (double)book_counter(record, "pooled");

	if (strcmp(json_string_value(json_object_get(record, RECORD_KEY_TYPE)), RECORD_FINAL) == 0)
		sum->ended += 1 / (double)process->pools;
	sum->uptime_ms = fmax(sum->uptime_ms, (double)book_counter(record, "uptime_ms"));
	sum->calls_saved += (double)book_counter(record, "calls_saved");
	sum->idle_bytes += idle * held.bytes;
	if (judge_is_beneath(process, pool))
		return;
	sum->creates += (double)book_counter(record, "create_local") +
	                (double)book_counter(record, "create_depot") +
	                (double)book_counter(record, "create_new");
	sum->misses += (double)book_counter(record, "create_new");
	sum->peak += peak;
	sum->idle += idle;
	sum->most_bytes += peak * held.bytes;
	sum->how = held.how < sum->how ? held.how : sum->how;
	sum->has_stacks |= held.how != HELD_UNKNOWN;
}

static void add_process(struct sum *sum, const struct book_process *process)
{
	const char *mode = process->was_off ? "off" : text_of(process, "mode");
	const char *version = text_of(process, "version");

	sum->mode = sum->processes == 0 || strcmp(sum->mode, mode) == 0 ? mode : "mixed";
	sum->version = sum->processes == 0 || strcmp(sum->version, version) == 0 ? version : "several";
	sum->processes++;
	sum->has_own_pool |= book_has_own_pool(process);
	for (size_t i = 0; i < process->pools; i++)
		add_pool(sum, process, i);
}

static struct sum sum_of(const struct book *book, const char *program)
{
	struct sum sum = {.how = HELD_SEEN, .mode = "", .version = ""};

	for (size_t i = 0; i < book->processes; i++) {
		if (book->process[i].pools > 0 && strcmp(text_of(&book->process[i], "program"), program) == 0)
			add_process(&sum, &book->process[i]);
	}
	return sum;
}

static json_t *sum_as_json(const struct sum *sum)
{
	double stack_ns = sum->has_stacks ? cost_stack_ns() : 0;
	json_t *all = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:s, s:b}", "processes",
	        sum->processes, "uptime_ms", sum->uptime_ms, "creates", sum->creates, "misses", sum->misses,
	        "calls_saved", sum->calls_saved, "peak_objects", sum->peak, "idle", sum->idle, "ended",
	        sum->ended, "mode", sum->mode, "held", held_word(sum->how), "calls_about", sum->has_own_pool);

	if (sum->how != HELD_UNKNOWN) {
		json_object_set_new(all, "most_bytes", json_real(sum->most_bytes));
		json_object_set_new(all, "idle_bytes", json_real(sum->idle_bytes));
	}
	if (stack_ns > 0)
		json_object_set_new(all, "cpu_ms", json_real(sum->misses * stack_ns / 1e6));
	return all;
}

/* ---- what cannot be compared ---- */

__attribute__((format(printf, 2, 3))) static void note(json_t *notes, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	json_array_append_new(notes, json_vsprintf(format, arguments));
	va_end(arguments);
}

/* A log of a program that was only observed has no depths: those of the other log are used. */
static void lend_depth(
        json_t *notes, struct sum *to, const struct sum *from, const char *which, const char *other)
{
	if (to->how != HELD_GUESSED)
		return;
	if (from->how != HELD_SEEN || from->peak == 0) {
		note(notes, "The %s log has no stack depths: its memory is a guess of two pages per stack.",
		        which);
		return;
	}
	to->most_bytes = to->peak * from->most_bytes / from->peak;
	note(notes, "The %s log has no stack depths: those of the %s are used for it.", which, other);
}

static void note_work(json_t *notes, const struct sum *first, const struct sum *second)
{
	char one[AMOUNT_BYTES], other[AMOUNT_BYTES];

	if (fabs(first->creates - second->creates) > same_work * fmax(first->creates, second->creates))
		note(notes,
		        "The amount of work differs: %s creates in the first log, %s in the second. Compare "
		        "shares, not absolute numbers.",
		        amount_grouped(first->creates, one), amount_grouped(second->creates, other));
	if (first->processes != second->processes)
		note(notes,
		        "The number of processes differs: %s in the first log, %s in the second. Sums differ "
		        "for that reason alone.",
		        amount_grouped(first->processes, one), amount_grouped(second->processes, other));
}

static void note_one(json_t *notes, const struct sum *sum, const char *which)
{
	if (sum->ended < sum->processes - 0.5)
		note(notes,
		        "In the %s log not every process has a final record: it was still running, or was "
		        "killed by a signal. Its last sample counts here.",
		        which);
	if (strcmp(sum->mode, "off") == 0)
		note(notes, "In the %s log copool was switched off for a time.", which);
}

/* Returns sentences on what cannot be compared. Lends one log's depths to the other if that has none. */
static json_t *notes_on(struct sum *first, struct sum *second)
{
	json_t *notes = json_array();

	note_work(notes, first, second);
	lend_depth(notes, first, second, "first", "second");
	lend_depth(notes, second, first, "second", "first");
	note_one(notes, first, "first");
	note_one(notes, second, "second");
	if (first->has_own_pool && strcmp(first->mode, "observe") == 0 &&
	        strcmp(second->mode, "observe") != 0)
		note(notes,
		        "In the observed log, coroutines that are idle in QEMU's own pool count as alive: "
		        "compare the most at once, not the idle ones.");
	if (strcmp(first->version, second->version) != 0)
		note(notes, "The logs were written by different versions of copool.");
	return notes;
}

/* ---- programs ---- */

static json_t *program_as_json(const char *program, struct sum *first, struct sum *second)
{
	json_t *notes = notes_on(first, second);
	struct judge_side sides[] = {{first->mode, first->creates, first->misses},
	        {second->mode, second->creates, second->misses}};
	struct judgement said;

	judge_sides(&sides[0], &sides[1], &said);
	return json_pack("{s:s, s:o, s:o, s:{s:s, s:s, s:s}, s:o}", "program", program, "first",
	        sum_as_json(first), "second", sum_as_json(second), "verdict", "grade", said.grade, "word",
	        said.word, "text", said.text, "notes", notes);
}

/* Whether a process begins a program that was not seen yet; it is seen then. */
static bool is_new(json_t *seen, const struct book_process *process)
{
	const char *program = text_of(process, "program");

	if (process->pools == 0 || json_object_get(seen, program))
		return false;
	json_object_set_new(seen, program, json_true());
	return true;
}

static void note_alone(json_t *notes, const char *program, const char *which)
{
	char name[64];

	clean_copy(name, sizeof name, *program != '\0' ? program : "A program without a name");
	note(notes, "%s is only in the %s log, so it cannot be compared.", name, which);
}

static void add_program(json_t *all, const struct book *first, const struct book *second, const char *program)
{
	struct sum old = sum_of(first, program), new = sum_of(second, program);

	if (old.processes > 0 && new.processes > 0)
		json_array_append_new(json_object_get(all, "programs"), program_as_json(program, &old, &new));
	else
		note_alone(json_object_get(all, "notes"), program, old.processes > 0 ? "first" : "second");
}

/* The second log's programs come first: the page is about them. */
static void add_programs(json_t *all, const struct book *first, const struct book *second)
{
	const struct book *books[] = {second, first};
	json_t *seen = json_object();

	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < books[k]->processes; i++) {
			const struct book_process *process = &books[k]->process[i];

			if (is_new(seen, process) && json_object_size(seen) <= BASELINE_PROGRAMS)
				add_program(all, first, second, text_of(process, "program"));
		}
	}
	if (json_object_size(seen) > BASELINE_PROGRAMS)
		note(json_object_get(all, "notes"), "%zu more programs are not shown.",
		        json_object_size(seen) - BASELINE_PROGRAMS);
	json_decref(seen);
}

json_t *baseline_as_json(const struct book *first, const struct book *second)
{
	json_t *all = json_pack("{s:[], s:[]}", "programs", "notes");

	if (all != NULL)
		add_programs(all, first, second);
	return all;
}
