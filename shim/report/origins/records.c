/* SPDX-License-Identifier: MIT */
/*
 * First names the frames of all stacks that are due, so that each object file is read only once; then writes them.
 * While the program runs, a stack is due if it is new or its count has doubled. So the log grows little, and if the
 * program is killed, most is in it.
 */
#include "report/origins/records.h"

#include "system/clock.h"
#include "libc/real.h"
#include "system/warn.h"
#include "pool/pool.h"
#include "report/line.h"
#include "report/origins/symbolize.h"
#include "report/origins/origins.h"

#include <pthread.h>
#include <string.h>

enum { FORK_WAITS = 2000 }; /* of a ms each */

/* What is needed only while records are written. */
struct blame {
	struct names names;
	uint64_t misses[CALLERS_NUMBERS]; /* as they are now */
	unsigned live[CALLERS_NUMBERS];
	bool is_due[CALLERS_NUMBERS], is_live_due[CALLERS_NUMBERS];
};

/* What each stack's last record said. */
struct told {
	uint64_t misses[CALLERS_NUMBERS];
	unsigned live[CALLERS_NUMBERS];
};

static struct told *told; /* made when it is first needed */

/* While names are found, the loader's list of objects is locked. A child that is forked then would wait for ever. */
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER;
static __thread bool
        has_naming; /* the calling thread, which forks, has locked it; others may fork at the same time */

/* A return address is the one after its call, and may belong to another function. */
static uintptr_t call_of(uintptr_t frame)
{
	return frame - 1;
}

static void write_stack(const struct blame *blame, unsigned number, const struct call_stack *stack,
        const char *kind, uint64_t count, struct line *line, int (*write)(void))
{
	unsigned written = 0;

	line_begin(line, RECORD_ORIGIN);
	line_text(line, "pool", pool_name(pool_at(stack->pool)));
	line_text(line, "kind", kind);
	line_number(line, "count", count);
	if (strcmp(kind, "miss") == 0 && origins_every() > 1)
		line_number(line, "every", origins_every());
	line_number(line, "stack", number);
	line_list_begin(line, "frames");
	if (stack->frames == 0)
		line_list_add(line, "?");
	while (written < stack->frames &&
	        line_list_add(line, symbolize_text(&blame->names, call_of(stack->frame[written]))))
		written++;
	line_list_end(line);
	line_number(line, "cut", stack->is_cut || written < stack->frames);
	write();
}

/* Whether a count is due, given what its last record said. */
static bool is_news(uint64_t now, uint64_t before, bool is_final)
{
	return is_final ? now != before : now > 0 && now >= 2 * before;
}

/* Finds out what is due. Returns whether anything is. */
static bool look(struct blame *blame, const struct callers *callers, unsigned numbers, bool is_final)
{
	unsigned unknown;
	bool has_live = origins_live(blame->live, &unknown), is_any = false;

	for (unsigned i = 0; i < numbers; i++) {
		const struct call_stack *stack = &callers->stack[i];

		blame->misses[i] = callers_misses(callers, i);
		blame->is_due[i] = is_news(blame->misses[i], told->misses[i], is_final);
		blame->is_live_due[i] = has_live && is_news(blame->live[i], told->live[i], is_final);
		if (!blame->is_due[i] && !blame->is_live_due[i])
			continue;
		is_any = true;
		for (unsigned j = 0; j < stack->frames; j++)
			symbolize_add(&blame->names, call_of(stack->frame[j]));
	}
	if (is_final && unknown > 0)
		warn("there was no room to remember the call stacks of %u objects", unknown);
	return is_any;
}

static void write_due(struct blame *blame, const struct callers *callers, unsigned numbers, struct line *line,
        int (*write)(void))
{
	for (unsigned i = 0; i < numbers; i++) {
		const struct call_stack *stack = &callers->stack[i];

		if (blame->is_due[i])
			write_stack(blame, i, stack, "miss", told->misses[i] = blame->misses[i], line, write);
		if (blame->is_live_due[i])
			write_stack(blame, i, stack, "leak", told->live[i] = blame->live[i], line, write);
	}
}

void records_write(struct line *line, int (*write)(void), bool is_final)
{
	const struct callers *callers = origins_callers();
	struct blame *blame = callers != NULL ? real_table(sizeof *blame) : NULL;
	unsigned numbers;

	if (told == NULL && callers != NULL)
		told = real_table(sizeof *told);
	if (blame == NULL || told == NULL) {
		if (blame != NULL)
			real_table_free(blame, sizeof *blame);
		return;
	}
	numbers = callers_used(callers);
	if (look(blame, callers, numbers, is_final)) {
		pthread_mutex_lock(&naming);
		symbolize_resolve(&blame->names);
		pthread_mutex_unlock(&naming);
		write_due(blame, callers, numbers, line, write);
	}
	if (is_final && callers_lost(callers) > 0)
		warn("there were more than %u different call stacks; %llu creates have none", CALLERS_STACKS,
		        (unsigned long long)callers_lost(callers));
	real_table_free(blame, sizeof *blame);
}

void records_fork_prepare(void)
{
	has_naming = false;
	for (int i = 0; origins_callers() != NULL && !has_naming && i < FORK_WAITS; i++) {
		has_naming = pthread_mutex_trylock(&naming) == 0;
		if (!has_naming)
			clock_sleep_us(1000);
	}
}

void records_fork_parent(void)
{
	if (has_naming)
		pthread_mutex_unlock(&naming);
	has_naming = false;
}

void records_fork_child(void)
{
	naming = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	has_naming = false;
	if (told != NULL)
		*told = (struct told){0};
}
