/* SPDX-License-Identifier: MIT */
/* copool origins: the call stacks of misses and leaks, the most frequent first. */
#include <argp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/book.h"
#include "clean.h"
#include "copool.h"
#include "fold.h"
#include "log/logs.h"
#include "log/origins.h"
#include "verb.h"

enum { TOP = 20 };

struct wish {
	bool folded, json, leaks;
	size_t top; /* 0: not set */
	char **logs;
};

/* A call stack, in all processes of the same program. */
struct place {
	const char *program, *pool;
	bool is_leak;
	const json_t *frames;
	json_int_t count;
	json_int_t every; /* more than 1: the count is an estimate */
};

struct places {
	struct place place[ORIGINS];
	size_t count;
};

static const struct argp_option options[] = {
        {"folded", 'f', NULL, 0, "Write folded stacks, as flame graph tools read them", 0},
        {"json", 'j', NULL, 0, "Write one JSON object instead of tables", 0},
        {"leaks", 'l', NULL, 0, "Only objects that were alive at exit; otherwise --folded has only misses",
                0},
        {"top", 'n', "N", 0, "At most N places (20 in tables, otherwise all)", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct wish *wish = state->input;

	switch (key) {
	case 'f':
		wish->folded = true;
		return 0;
	case 'j':
		wish->json = true;
		return 0;
	case 'l':
		wish->leaks = true;
		return 0;
	case 'n':
		wish->top = (size_t)verb_whole(state, "top", value, 1, INT_MAX);
		return 0;
	case ARGP_KEY_END:
		if (wish->folded && wish->json)
			argp_error(state, "--folded and --json exclude each other");
		return 0;
	}
	return verb_arguments(key, state, &wish->logs, "which log?");
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "LOG...",
        .doc = "Shows the call stacks of misses, from logs of programs that ran with COPOOL_ORIGINS (copool "
               "run --origins), and of what was still alive at exit (COPOOL_LEAKS, --leaks). A LOG named `-' "
               "is standard input.\v"
               "A function without a name in its module's symbol tables is shown as module+offset, which "
               "addr2line understands. The exit status is 0; 1 if a log cannot be read or has no origins; 2 "
               "for a wrong option.\n\n"
               "Example: copool origins --folded run.jsonl | flamegraph.pl > misses.svg",
};

/* ---- gathering ---- */

static const char *program_of(const struct book *book, json_int_t pid)
{
	const char *program = NULL;

	for (size_t i = 0; i < book->processes; i++) {
		if (book->process[i].pid == pid)
			program = json_string_value(json_object_get(book->process[i].open, "program"));
	}
	return program != NULL ? program : "?";
}

static bool is_same_group(const struct place *a, const struct place *b)
{
	return a->is_leak == b->is_leak && strcmp(a->program, b->program) == 0 &&
	       strcmp(a->pool, b->pool) == 0;
}

static bool is_same(const struct place *a, const struct place *b)
{
	return is_same_group(a, b) && json_equal((json_t *)a->frames, (json_t *)b->frames);
}

static void add_place(struct places *places, const struct place *place)
{
	size_t i = 0;

	while (i < places->count && !is_same(&places->place[i], place))
		i++;
	if (i == places->count)
		places->place[places->count++] = *place;
	else
		places->place[i].count += place->count;
	if (places->place[i].every < place->every)
		places->place[i].every = place->every;
}

static void gather(struct places *places, const struct origins *origins, const struct book *book)
{
	for (size_t i = 0; i < origins->count; i++) {
		const json_t *record = origins->record[i];
		const char *kind = json_string_value(json_object_get(record, "kind"));
		struct place place = {
		        .program = program_of(book, json_integer_value(json_object_get(record, "pid"))),
		        .pool = json_string_value(json_object_get(record, "pool")),
		        .is_leak = kind != NULL && strcmp(kind, "leak") == 0,
		        .frames = json_object_get(record, "frames"),
		        .count = book_counter(record, "count"),
		        .every = book_counter(record, "every"),
		};

		/* Objects that were alive at an interval may be gone. */
		if (place.count > 0)
			add_place(places, &place);
	}
}

/* Misses before leaks; those of a program's pool together, the most frequent first. */
static int compare(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = a->is_leak - b->is_leak;

	if (order == 0)
		order = strcmp(a->program, b->program);
	if (order == 0)
		order = strcmp(a->pool, b->pool);
	return order ? order : (a->count < b->count) - (a->count > b->count);
}

/* ---- showing ---- */

/* A semicolon, which would end a folded frame, becomes `?' as well. */
static void print_clean(const char *text)
{
	for (text = clean(text); *text; text++)
		putchar(*text == ';' ? '?' : *text);
}

/* A frame, without its module if its function has a name. */
static void print_frame(const char *frame)
{
	const char *space = strchr(frame, ' ');

	print_clean(space != NULL && space[1] ? space + 1 : frame);
}

static const char *frame_at(const struct place *place, size_t i)
{
	const char *frame = json_string_value(json_array_get(place->frames, i));

	return frame != NULL ? frame : "?";
}

/* The innermost named frame outside of the function that creates. */
static const char *telling_frame(const struct place *place)
{
	for (size_t i = 1; i < json_array_size(place->frames); i++) {
		if (strchr(frame_at(place, i), ' ') != NULL)
			return frame_at(place, i);
	}
	return frame_at(place, 0);
}

static void print_place(const struct place *place, json_int_t whole)
{
	printf("  %10" JSON_INTEGER_FORMAT " %6.2f %%  ", place->count,
	        whole > 0 ? (double)place->count / (double)whole * 100 : 0);
	if (strcmp(telling_frame(place), "?") == 0) {
		printf("not recorded\n");
		return;
	}
	print_frame(telling_frame(place));
	printf("\n                       ");
	for (size_t i = 0; i < json_array_size(place->frames); i++) {
		printf("%s", i > 0 ? " < " : "");
		print_frame(frame_at(place, i));
	}
	putchar('\n');
}

/* `all` places of one program's pool and kind. */
static void print_group(const struct place *place, size_t all, size_t top)
{
	json_int_t whole = 0, every = 0;

	for (size_t i = 0; i < all; i++) {
		whole += place[i].count;
		every = place[i].every > every ? place[i].every : every;
	}
	print_clean(place->program);
	printf(", ");
	print_clean(place->pool);
	printf(": %s%" JSON_INTEGER_FORMAT " %s, from %zu %s", every > 1 ? "about " : "", whole,
	        place->is_leak ? "alive at exit" : (whole == 1 ? "miss" : "misses"), all,
	        all == 1 ? "place" : "places");
	if (every > 1)
		printf("; estimated: one miss in %" JSON_INTEGER_FORMAT " was recorded", every);
	putchar('\n');
	for (size_t i = 0; i < all && i < top; i++)
		print_place(&place[i], whole);
	if (all > top)
		printf("  and %zu more\n", all - top);
	putchar('\n');
}

static void print_tables(const struct places *places, const struct wish *wish)
{
	size_t end;

	for (size_t i = 0; i < places->count; i = end) {
		for (end = i; end < places->count && is_same_group(&places->place[i], &places->place[end]);)
			end++;
		if (places->place[i].is_leak || !wish->leaks)
			print_group(&places->place[i], end - i, wish->top ? wish->top : TOP);
	}
}

static void print_folded(const struct places *places, const struct wish *wish)
{
	size_t left = wish->top ? wish->top : ORIGINS;

	for (size_t i = 0; i < places->count && left > 0; i++) {
		const struct place *place = &places->place[i];
		if (place->is_leak != wish->leaks)
			continue;
		print_clean(place->program);
		for (size_t frame = json_array_size(place->frames); frame-- > 0;) {
			putchar(';');
			print_frame(frame_at(place, frame));
		}
		printf(" %" JSON_INTEGER_FORMAT "\n", place->count);
		left--;
	}
}

static void print_json(const struct places *places, const struct wish *wish)
{
	size_t left = wish->top ? wish->top : ORIGINS;
	json_t *list = json_array();

	for (size_t i = 0; i < places->count && left > 0; i++) {
		const struct place *place = &places->place[i];
		if (wish->leaks && !place->is_leak)
			continue;
		json_array_append_new(list,
		        json_pack("{s:s, s:s, s:s, s:I, s:b, s:O}", "program", place->program, "pool",
		                place->pool, "kind", place->is_leak ? "leak" : "miss", "count", place->count,
		                "is_estimate", place->every > 1, "frames", place->frames));
		left--;
	}
	json_t *all = json_pack("{s:o}", "origins", list);
	clean_json(all, JSON_INDENT(2), stdout);
	json_decref(all);
}

static bool has_any(const struct places *places, const struct wish *wish)
{
	bool needs_leaks = wish->leaks, needs_misses = wish->folded && !wish->leaks;

	for (size_t i = 0; i < places->count; i++) {
		if (places->place[i].is_leak ? !needs_misses : !needs_leaks)
			return true;
	}
	return false;
}

/* Returns the exit status. */
static int print(struct places *places, const struct wish *wish)
{
	qsort(places->place, places->count, sizeof *places->place, compare);
	if (wish->json)
		print_json(places, wish);
	else if (wish->folded)
		print_folded(places, wish);
	else
		print_tables(places, wish);
	if (verb_end("origins", 0, 1) != 0)
		return 1;
	if (has_any(places, wish))
		return 0;
	fprintf(stderr, "copool origins: the logs have no %s; copool run --%s records them\n",
	        wish->leaks ? "leaks" : "origins", wish->leaks ? "leaks" : "origins");
	return 1;
}

int cmd_origins(int argc, char **argv)
{
	static struct book book;
	static struct origins origins;
	static struct places places;
	struct wish wish = {0};

	if (argp_parse(&argp, argc, argv, 0, NULL, &wish) != 0 || book_open(&book) != 0) {
		fprintf(stderr, "copool origins: out of memory\n");
		return 1;
	}
	if (!wish.json && !wish.folded)
		fold_stdout();
	origins_open(&origins, &book);
	int status = logs_read(&book, "origins", wish.logs, NULL);
	logs_tell(&book, "origins");
	if (origins.left_out)
		fprintf(stderr, "copool origins: the %llu rarest origins are left out\n", origins.left_out);
	gather(&places, &origins, &book);
	if (book.records > 0)
		status |= print(&places, &wish);
	origins_close(&origins);
	book_close(&book);
	return status;
}
