/* Names the frames of all stacks first, each object file being read once, and then writes the stacks. */
#include "report/blame.h"

#include "libc/real.h"
#include "libc/warn.h"
#include "pool/pool.h"
#include "report/line.h"
#include "report/names.h"
#include "report/watch.h"

#include <string.h>

/* What is only needed at the end. */
struct blame {
	struct names names;
	unsigned live[CALLERS_NUMBERS];
};

/* A return address is behind the call that it belongs to, which may be another function's. */
static uintptr_t call_of(uintptr_t frame)
{
	return frame - 1;
}

static void write_stack(const struct blame *blame, const struct call_stack *stack, const char *kind,
        uint64_t count, struct line *line, int (*write)(void))
{
	unsigned written = 0;

	line_begin(line, RECORD_ORIGIN);
	line_text(line, "pool", pool_name(pool_at(stack->pool)));
	line_text(line, "kind", kind);
	line_number(line, "count", count);
	if (strcmp(kind, "miss") == 0 && watch_every() > 1)
		line_number(line, "every", watch_every());
	line_list_begin(line, "frames");
	if (stack->frames == 0)
		line_list_add(line, "?");
	while (written < stack->frames &&
	        line_list_add(line, names_text(&blame->names, call_of(stack->frame[written]))))
		written++;
	line_list_end(line);
	line_number(line, "cut", stack->is_cut || written < stack->frames);
	write();
}

static void write_all(
        struct blame *blame, const struct callers *callers, struct line *line, int (*write)(void))
{
	unsigned numbers = callers_used(callers), unknown;
	bool has_live = watch_live(blame->live, &unknown);

	for (unsigned i = 0; i < numbers; i++) {
		const struct call_stack *stack = &callers->stack[i];

		for (unsigned j = 0; j < stack->frames; j++)
			names_add(&blame->names, call_of(stack->frame[j]));
	}
	names_resolve(&blame->names);
	for (unsigned i = 0; i < numbers; i++) {
		uint64_t misses = callers_misses(callers, i);

		if (misses > 0)
			write_stack(blame, &callers->stack[i], "miss", misses, line, write);
		if (has_live && blame->live[i] > 0)
			write_stack(blame, &callers->stack[i], "leak", blame->live[i], line, write);
	}
	if (unknown > 0)
		warn("there was no room to remember who created %u objects", unknown);
	if (callers_lost(callers) > 0)
		warn("there were more than %u different call stacks; %llu creates are without one",
		        CALLERS_STACKS, (unsigned long long)callers_lost(callers));
}

void blame_write(struct line *line, int (*write)(void))
{
	const struct callers *callers = watch_callers();
	struct blame *blame = callers != NULL ? real_table(sizeof *blame) : NULL;

	if (blame == NULL)
		return;
	write_all(blame, callers, line, write);
	real_table_free(blame, sizeof *blame);
}
