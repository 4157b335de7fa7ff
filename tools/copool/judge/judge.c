/* SPDX-License-Identifier: MIT */
/* The rules, and the sentences. */
#include "judge/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "amount.h"
#include "judge/cost.h"
#include "report/record.h"
#include "judge/simulate.h"
#include "log/owner.h"
#include "settings.h"
#include "compare/verdict.h"

enum {
	START_MS = 5000, /* misses in this time after a pool's first create are those of the start */
	QEMU_CALLS = 3,  /* system calls for one of QEMU's coroutines */
};

/* The pool that an observed program would have had: the defaults, with the kernel's default limits. */
enum { DEFAULT_BATCHES = 1023 };

static const double good_share = 0.01, fair_share = 0.1;

struct counts {
	double creates, misses, excess;
	double before; /* misses without copool; -1: not known */
	double deleted, trimmed;
	double uptime_ms;
	const char *mode;
	bool has_own_pool;
};

__attribute__((format(printf, 2, 3))) static void add(char *text, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, JUDGE_TEXT - used, format, arguments);
	va_end(arguments);
}

/* ---- what was counted ---- */

static double counter(const json_t *record, const char *name)
{
	double value = (double)book_counter(record, name);

	return value > 0 ? value : 0;
}

static const char *word_of(const struct book_process *process, const char *key)
{
	const char *word = json_string_value(json_object_get(process->open, key));

	return word != NULL ? word : "";
}

/* Without copool each stack is made, but only those of QEMU's coroutines that its own pool could not serve. */
static double misses_before(
        const struct book_process *process, const struct counts *counts, const json_t *record)
{
	if (!counts->has_own_pool)
		return counts->creates;
	if (json_object_get(record, "calls_saved") == NULL || book_counts_every_hit(process))
		return -1;
	double before = counts->misses + counter(record, "calls_saved") / QEMU_CALLS;
	return before < counts->creates ? before : counts->creates;
}

static struct counts count(const struct judge_case *which)
{
	const struct book_process *process = which->process;
	const json_t *record = process->pool[which->pool];
	struct counts counts = {
	        .creates = counter(record, "create_local") + counter(record, "create_depot") +
	                   counter(record, "create_new"),
	        .misses = counter(record, "create_new"),
	        .deleted = counter(record, "destroy_delete"),
	        .trimmed = counter(record, "trimmed"),
	        .uptime_ms = counter(record, "uptime_ms"),
	        .mode = word_of(process, "mode"),
	        .has_own_pool = book_has_own_pool(process),
	};

	counts.before = misses_before(process, &counts, record);
	counts.excess = counts.misses + counter(record, "inherited") - counter(record, "peak_objects");
	if (counts.excess < 0)
		counts.excess = 0;
	if (counts.excess > counts.misses)
		counts.excess = counts.misses;
	return counts;
}

bool judge_is_beneath(const struct book_process *process, size_t pool)
{
	const char *above = owner_part_of(process->pool[pool]);

	for (size_t i = 0; i < process->pools && above != NULL; i++) {
		const char *other = json_string_value(json_object_get(process->pool[i], "pool"));
		if (strcmp(other, above) == 0)
			return true;
	}
	return false;
}

/* ---- sentences ---- */

/* Appends when it missed: "all of them in the first 5 s, none after that". */
static void add_when(char *text, const struct series *series, double misses)
{
	size_t i = 0;
	char early[AMOUNT_BYTES], late[AMOUNT_BYTES], span[AMOUNT_BYTES];

	while (series != NULL && i < series->points &&
	        series->point[i].uptime_ms - series->begin_ms < START_MS)
		i++;
	if (series == NULL || !series->from_zero || i + 1 >= series->points)
		return;
	double first = (double)series->point[i].last.create_new;
	amount_span((double)(series->point[i].uptime_ms - series->begin_ms), span);
	if (misses <= first)
		add(text, ": all of them in the first %s, none after that", span);
	else
		add(text, ": %s in the first %s, %s after that",
		        first > 0 ? amount_grouped(first, early) : "none", span,
		        amount_grouped(misses - first, late));
}

static void add_counts(char *text, const struct counts *counts, const struct series *series)
{
	char all[AMOUNT_BYTES], hits[AMOUNT_BYTES], share[AMOUNT_BYTES], misses[AMOUNT_BYTES];
	const char *creates = counts->creates == 1 ? "create" : "creates";

	amount_grouped(counts->creates, all);
	if (counts->misses == 0) {
		add(text, "Of %s %s, all were served from the pool.", all, creates);
		return;
	}
	add(text,
	        "Of %s %s, %s (%s) were served from the pool. %s missed and went to the program's own "
	        "function",
	        all, creates, amount_grouped(counts->creates - counts->misses, hits),
	        amount_percent(counts->creates - counts->misses, counts->creates, share),
	        amount_grouped(counts->misses, misses));
	add_when(text, series, counts->misses);
	add(text, ".");
	if (counts->excess == 0)
		add(text, " No fewer are possible: so many existed at once.");
	else
		add(text, " %s of these are more than existed at once.",
		        amount_grouped(counts->excess, misses));
}

/* Whether the depot was ever seen at its cap. */
static bool was_full(const struct judge_case *which)
{
	const json_t *cap = json_object_get(which->process->open, "max_batches");
	bool is_full = false;

	for (size_t i = 0; which->series != NULL && i < which->series->points; i++)
		is_full |= which->series->point[i].last.depot_high >= json_integer_value(cap);
	return json_is_integer(cap) && is_full;
}

static void add_reasons(const struct judge_case *which, const struct counts *counts, struct judgement *said)
{
	char number[AMOUNT_BYTES];
	char *text = said->more[said->mores];

	if (counts->trimmed > 0) {
		add(text, "%s idle %s given back to the system in quiet times%s.",
		        amount_grouped(counts->trimmed, number),
		        counts->trimmed == 1 ? "object was" : "objects were",
		        counts->excess > 0
		                ? "; a later burst has to make new ones. A larger COPOOL_DECAY_MS keeps them "
		                  "longer"
		                : "");
		text = said->more[++said->mores];
	}
	if (counts->deleted > 0 && strcmp(counts->mode, "pool") == 0 && was_full(which)) {
		add(text, "%s %s destroyed because the depot was at its cap (COPOOL_MAX_BATCHES).",
		        amount_grouped(counts->deleted, number),
		        counts->deleted == 1 ? "object was" : "objects were");
		said->mores++;
	}
}

static void grade(struct judgement *said, const struct counts *counts)
{
	double share = counts->excess / counts->creates;

	said->grade = share < good_share ? "good" : share < fair_share ? "fair" : "poor";
	said->word = share < good_share ? "Good" : share < fair_share ? "Fair" : "Poor";
}

/* ---- kinds ---- */

static void judge_pooled(const struct judge_case *which, const struct counts *counts, struct judgement *said)
{
	char before[AMOUNT_BYTES];

	add_counts(said->text, counts, which->series);
	/* At its best: one that does badly, as its cap is too low, may still be what the program needs. */
	if (counts->before >= 0 && !verdict_is_worth(counts->creates, counts->before / counts->creates,
	                                   (counts->misses - counts->excess) / counts->creates)) {
		said->word = "Does not help";
		if (counts->has_own_pool)
			add(said->text, " Without copool %s of creates would have missed: %s.",
			        amount_share(counts->before / counts->creates, before),
			        counts->before < fair_share * counts->creates
			                ? "leave it off"
			                : "so few that it makes no difference");
		else
			add(said->text,
			        " So few objects came back that a pool makes no difference: leave it off.");
		return;
	}
	grade(said, counts);
	if (counts->before >= 0 && counts->has_own_pool)
		add(said->text, " Without copool about %s of creates would have missed.",
		        amount_share(counts->before / counts->creates, before));
	add_reasons(which, counts, said);
}

static bool has_demand(const struct judge_case *which)
{
	return which->demand != NULL && which->demand->steps > 0;
}

double judge_foreseen(const struct judge_case *which)
{
	const struct tuning setting = {DEFAULT_BATCHES, settings[SETTING_decay_ms].standard};
	const struct demand *demand = which->demand;
	struct outcome outcome;

	if (!has_demand(which))
		return count(which).excess;
	simulate(demand->step, demand->steps, demand->first.objects, &setting, &outcome);
	double made = demand->last.made - demand->first.made, served = made - outcome.misses;
	return served > 0 ? served : 0;
}

static void judge_observed(
        const struct judge_case *which, const struct counts *counts, struct judgement *said)
{
	char all[AMOUNT_BYTES], misses[AMOUNT_BYTES], share[AMOUNT_BYTES], saved[AMOUNT_BYTES];
	double foreseen = judge_foreseen(which), ns = 0;

	add(said->text, "Without copool %s of %s creates (%s) had to be made.",
	        amount_grouped(counts->misses, misses), amount_grouped(counts->creates, all),
	        amount_share(counts->misses / counts->creates, share));
	if (!verdict_is_worth(counts->creates, counts->misses / counts->creates,
	            (counts->misses - foreseen) / counts->creates)) {
		said->word = "Would not help";
		add(said->text, " copool would have saved hardly any of them: leave it off.");
		return;
	}
	said->word = "Would help";
	said->would_help = true;
	add(said->text, " copool would have saved %s%s of these %s", has_demand(which) ? "" : "up to ",
	        amount_grouped(foreseen, saved), misses);
	ns = counts->uptime_ms > 0 && !which->is_quick ? cost_stack_ns() : 0;
	if (ns > 0)
		add(said->text, ", about %s of a processor's time at what a stack costs here (%.2g us)",
		        amount_share(foreseen * ns / 1e6 / counts->uptime_ms, share), ns / 1000);
	add(said->text, "; try it with COPOOL_MODE=pool, or copool run without --observe.");
}

void judge(const struct judge_case *which, struct judgement *said)
{
	struct counts counts = count(which);
	char made[AMOUNT_BYTES], hits[AMOUNT_BYTES];

	memset(said, 0, sizeof *said);
	said->grade = said->word = "";
	said->excess = counts.excess;
	said->creates = counts.creates;
	said->is_beneath = judge_is_beneath(which->process, which->pool);
	if (counts.creates == 0) {
		add(said->text, "Nothing was created from this pool.");
	} else if (said->is_beneath) {
		add(said->text,
		        "These are the stacks of the pooled coroutines: %s made by a system call, %s "
		        "recycled.",
		        amount_grouped(counts.misses, made),
		        amount_grouped(counts.creates - counts.misses, hits));
		add(said->more[said->mores++],
		        "A coroutine keeps its stack while it waits in the pool, so few creates are expected "
		        "here; the pool qemu-coroutine has what the program asked for.");
	} else if (strcmp(counts.mode, "observe") == 0) {
		judge_observed(which, &counts, said);
	} else if (which->process->was_off || strcmp(counts.mode, "off") == 0) {
		said->word = "Switched off for a time";
		add(said->text, "copool off was used, so this says little about the pool. ");
		add_counts(said->text, &counts, which->series);
	} else {
		judge_pooled(which, &counts, said);
	}
}

/* ---- two logs ---- */

/* Why two logs do not say whether copool helps; NULL: they do. */
static const char *why_no_verdict(const struct judge_side *first, const struct judge_side *second)
{
	if (first->creates == 0 || second->creates == 0)
		return first->creates == 0 ? "In the first log nothing was created."
		                           : "In the second log nothing was created.";
	if (strcmp(first->mode, "observe") == 0 && strcmp(second->mode, "pool") == 0)
		return NULL;
	if (strcmp(first->mode, "pool") == 0 && strcmp(second->mode, "pool") == 0)
		return "Both were pooled: this compares two pools, and does not say whether copool helps.";
	if (strcmp(first->mode, "observe") == 0 && strcmp(second->mode, "observe") == 0)
		return "Neither was pooled.";
	if (strcmp(first->mode, "pool") == 0 && strcmp(second->mode, "observe") == 0)
		return "The first was pooled and the second was not: swap them to get a verdict.";
	return "A verdict needs a first log that was only observed, and a second one that was pooled.";
}

void judge_sides(const struct judge_side *first, const struct judge_side *second, struct judgement *said)
{
	struct trial stock = {.has_adapter = true}, pooled = {.has_adapter = true};
	char text[VERDICT_BYTES], one[AMOUNT_BYTES], other[AMOUNT_BYTES];
	const char *why = why_no_verdict(first, second);

	memset(said, 0, sizeof *said);
	said->grade = "";
	if (why != NULL) {
		said->word = "No verdict";
		add(said->text, "%s", why);
		if (first->creates > 0 && second->creates > 0)
			add(said->text, " %s of creates missed in the first, %s in the second.",
			        amount_share(first->misses / first->creates, one),
			        amount_share(second->misses / second->creates, other));
		return;
	}
	stock.value[TRIAL_CREATES] = first->creates;
	stock.value[TRIAL_NEW] = first->misses;
	pooled.value[TRIAL_CREATES] = second->creates;
	pooled.value[TRIAL_NEW] = second->misses;
	verdict_rate(&stock, 0);
	verdict_rate(&pooled, 0);
	bool helps =
	        verdict_find(&(struct side){&stock, 1}, &(struct side){&pooled, 1}, text) == VERDICT_HELPS;
	const char *reason = strstr(text, ": ");
	said->word = helps ? "Helps" : "Does not help";
	said->grade = helps ? "good" : "";
	add(said->text, "%s.", reason != NULL ? reason + 2 : text);
	if (said->text[0] >= 'a' && said->text[0] <= 'z')
		said->text[0] = (char)(said->text[0] - 'a' + 'A');
}

/* ---- JSON ---- */

static json_t *as_json(const struct judgement *said, const char *pool)
{
	json_t *more = json_array();

	for (size_t i = 0; i < said->mores; i++)
		json_array_append_new(more, json_string(said->more[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:o}", "pool", pool, "grade", said->grade, "word",
	        said->word, "text", said->text, "beneath", said->is_beneath, "excess",
	        (json_int_t)said->excess, "more", more);
}

void judge_add(
        json_t *all, const struct book *book, const struct series_set *series, const struct demands *demands)
{
	struct judgement said;
	json_t *process;
	size_t i;

	json_array_foreach(json_object_get(all, "processes"), i, process)
	{
		json_t *list = json_array();
		for (size_t j = 0; j < book->process[i].pools; j++) {
			struct judge_case which = {&book->process[i], j,
			        series != NULL ? series_of(series, i, j) : NULL,
			        demands != NULL ? demand_of(demands, i, j) : NULL, false};
			judge(&which, &said);
			json_array_append_new(list,
			        as_json(&said, json_string_value(
			                               json_object_get(book->process[i].pool[j], "pool"))));
		}
		json_object_set_new(process, "verdicts", list);
	}
}
