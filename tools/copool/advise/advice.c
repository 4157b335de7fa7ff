/* SPDX-License-Identifier: MIT */
/*
 * Corrects the replay of other settings by what was seen with the present one: misses that a setting could save
 * are scaled by those seen to those replayed.
 */
#include "advise/advice.h"

#include <limits.h>
#include <string.h>

#include "report/record.h"

static const double NEARLY = 0.75; /* of what could be saved */

static const unsigned decays_ms[] = {
        500, 1000, 2000, 5000, 10000, 20000, 60000, 300000, 1800000, 0 /* never */};

enum {
	DECAYS = sizeof decays_ms / sizeof decays_ms[0],
	CAPS = 12,         /* tried above the present one, each twice the one before */
	MISS_SHARE = 1000, /* misses are few if at most one create in so many could be saved from being one */
	IDLE_SHARE = 4,    /* memory is worth saving from this part of it on */
	SCALE_MOST = 2,
	INTERVALS = 2,   /* that the shortest window must have for the log to show it */
	SOUND_SHARE = 2, /* a replay may be off by this part of the misses seen */
};

static void add_row(struct advice *advice, unsigned max_batches, unsigned decay_ms)
{
	for (size_t i = 0; i < advice->rows; i++) {
		const struct tuning *setting = &advice->row[i].setting;
		if (setting->max_batches == max_batches && setting->decay_ms == decay_ms)
			return;
	}
	if (advice->rows < ADVICE_ROWS)
		advice->row[advice->rows++].setting = (struct tuning){max_batches, decay_ms};
}

static double step_ms(const struct demand *demand)
{
	return (demand->last.ms - demand->first.ms) / (double)demand->steps;
}

static void add_rows(const struct demand *demand, const struct tuning *present, struct advice *advice)
{
	double lasted_ms = demand->last.ms - demand->first.ms;
	unsigned used = (unsigned)(demand->most_depot / RECORD_BATCH_SIZE);
	unsigned needed = (unsigned)(demand->last.peak / RECORD_BATCH_SIZE) + 1;
	unsigned cap = present->max_batches;

	for (size_t i = 0; i < DECAYS; i++) {
		if (decays_ms[i] == 0 ||
		        (decays_ms[i] >= INTERVALS * step_ms(demand) && decays_ms[i] < lasted_ms))
			add_row(advice, present->max_batches, decays_ms[i]);
	}
	for (size_t i = 0; i < CAPS && cap < needed; i++) {
		cap = (cap + !cap) * 2 < needed ? (cap + !cap) * 2 : needed;
		add_row(advice, cap, present->decay_ms);
	}
	for (cap = used / 2; cap > 0 && advice->rows < ADVICE_ROWS; cap /= 2)
		add_row(advice, cap, present->decay_ms);
}

static int is_before(const struct tuning *a, const struct tuning *b)
{
	if (a->max_batches != b->max_batches)
		return a->max_batches > b->max_batches;
	return a->decay_ms - 1 > b->decay_ms - 1; /* 0, never, is the longest */
}

/* The most generous first. */
static void sort(struct advice *advice)
{
	struct tuning present = advice->row[advice->present].setting;

	for (size_t i = 1; i < advice->rows; i++) {
		struct advice_row row = advice->row[i];
		size_t j = i;
		for (; j > 0 && is_before(&row.setting, &advice->row[j - 1].setting); j--)
			advice->row[j] = advice->row[j - 1];
		advice->row[j] = row;
	}
	for (size_t i = 0; i < advice->rows; i++) {
		if (memcmp(&advice->row[i].setting, &present, sizeof present) == 0)
			advice->present = i;
	}
}

static double at_least(double least, double value)
{
	return value > least ? value : least;
}

/* The replay of the demand, and what was seen. */
struct measure {
	double least; /* misses that no setting could save, as replayed */
	double seen;  /* beyond these, with the present setting; likewise the next */
	double replayed;
	double idle_seen, idle_replayed, cached; /* mean idle objects; cached: in threads' caches */
};

static double measure_misses(const struct measure *measure, double replayed)
{
	double scale = measure->replayed > 0 ? measure->seen / measure->replayed : 1;

	scale = scale < 1.0 / SCALE_MOST ? 1.0 / SCALE_MOST : scale > SCALE_MOST ? SCALE_MOST : scale;
	return measure->least +
	       at_least(0, (replayed - measure->least) * scale + measure->seen - measure->replayed * scale);
}

static void replay(const struct demand *demand, const struct tuning *present, struct advice *advice)
{
	const struct tuning generous = {UINT_MAX / RECORD_BATCH_SIZE, 0};
	double objects = demand->first.objects, made = demand->last.made - demand->first.made;
	struct measure measure = {0};
	struct outcome outcome;

	simulate(demand->step, demand->steps, objects, &generous, &outcome);
	measure.least = outcome.misses < made ? outcome.misses : made;
	simulate(demand->step, demand->steps, objects, present, &outcome);
	advice->misses = made;
	advice->replayed = outcome.misses;
	measure.seen = made - measure.least;
	measure.replayed = at_least(0, outcome.misses - measure.least);
	measure.idle_seen = demand->idle / demand->samples;
	measure.cached = demand->cached / demand->samples;
	measure.idle_replayed = outcome.idle;
	for (size_t i = 0; i < advice->rows; i++) {
		struct advice_row *row = &advice->row[i];
		simulate(demand->step, demand->steps, objects, &row->setting, &outcome);
		row->misses = measure_misses(&measure, outcome.misses);
		row->idle =
		        at_least(measure.cached, measure.idle_seen + outcome.idle - measure.idle_replayed);
		row->idle_most = outcome.idle_most;
	}
}

/* Whether a row changes only the decay, and so only how long unneeded objects stay. */
static int is_gentle(const struct advice *advice, const struct advice_row *row)
{
	return row->setting.max_batches == advice->row[advice->present].setting.max_batches;
}

/*
 * The row with the fewest idle objects of those with at most `misses`; NULL: none. Of two equal ones, the less
 * generous.
 */
static const struct advice_row *cheapest(const struct advice *advice, double misses, int gently)
{
	const struct advice_row *best = NULL;

	for (size_t i = 0; i < advice->rows; i++) {
		const struct advice_row *row = &advice->row[i];
		if (row->misses <= misses && (!gently || is_gentle(advice, row)) &&
		        (best == NULL || row->idle <= best->idle))
			best = row;
	}
	return best;
}

/* The most generous row that saves nearly as much as the best with at most `misses`; NULL: none is worth it. */
static const struct advice_row *find_less_memory(const struct advice *advice, double misses)
{
	const struct advice_row *present = &advice->row[advice->present];

	for (int gently = 1; gently >= 0; gently--) {
		const struct advice_row *best = cheapest(advice, misses, gently);
		double saved = best != NULL ? present->idle - best->idle : 0;
		if (saved < ADVICE_OBJECTS_MIN || saved < present->idle / IDLE_SHARE)
			continue;
		for (size_t i = 0; i < advice->rows; i++) {
			const struct advice_row *row = &advice->row[i];
			if (row->misses <= misses && (!gently || is_gentle(advice, row)) &&
			        present->idle - row->idle >= saved * NEARLY)
				return row;
		}
	}
	return NULL;
}

static void choose(const struct demand *demand, struct advice *advice)
{
	const struct advice_row *present = &advice->row[advice->present], *best = NULL;
	double creates = demand->last.created - demand->first.created, least = present->misses;

	for (size_t i = 0; i < advice->rows; i++)
		least = advice->row[i].misses < least ? advice->row[i].misses : least;
	double allowed = least + creates / MISS_SHARE;
	if (!advice_is_sound(advice)) {
		advice->kind = ADVICE_NONE;
		return;
	}
	if (present->misses > allowed && present->misses - least >= ADVICE_OBJECTS_MIN) {
		advice->kind = ADVICE_FEWER_MISSES;
		best = cheapest(advice, allowed, 0);
	} else {
		advice->kind = ADVICE_LESS_MEMORY;
		best = find_less_memory(advice, at_least(present->misses, allowed));
	}
	if (best == NULL || best == present)
		advice->kind = ADVICE_FINE;
	else
		advice->better = (size_t)(best - advice->row);
}

void advise(const struct demand *demand, const struct tuning *present, long decay_ms, long max_batches,
        struct advice *advice)
{
	memset(advice, 0, sizeof *advice);
	add_row(advice, present->max_batches, present->decay_ms);
	if (decay_ms >= 0 || max_batches >= 0)
		add_row(advice, max_batches >= 0 ? (unsigned)max_batches : present->max_batches,
		        decay_ms >= 0 ? (unsigned)decay_ms : present->decay_ms);
	add_rows(demand, present, advice);
	sort(advice);
	replay(demand, present, advice);
	choose(demand, advice);
}

int advice_is_sound(const struct advice *advice)
{
	double off = advice->replayed - advice->misses;

	return (off < 0 ? -off : off) <= at_least(ADVICE_OBJECTS_MIN, advice->misses / SOUND_SHARE);
}
