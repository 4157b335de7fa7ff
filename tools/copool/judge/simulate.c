/* SPDX-License-Identifier: MIT */
/* Everything in a step happens in its middle, since the log does not say when. */
#include "judge/simulate.h"

#include <string.h>

#include "report/record.h"

enum { BATCH = RECORD_BATCH_SIZE, CYCLES = 2 };

struct replay {
	const struct tuning *setting;
	struct outcome *outcome;
	double objects, in_use;
	double now_ms, next_ms; /* next_ms and low: as in struct trim */
	unsigned low[SIMULATE_STEPS];
	unsigned slot, began, quiet; /* as its step, level and quiet */
	unsigned least;              /* level of the depot since the last step of the window began */
	double idle_ms;              /* sum of idle objects over time */
};

static double depot(const struct replay *replay)
{
	return replay->objects - replay->in_use;
}

static unsigned level(const struct replay *replay)
{
	return (unsigned)(depot(replay) / BATCH);
}

/* ---- the trimming ---- */

/* Steps end at multiples of their length, and the first is a whole one. */
static double first_end(const struct replay *replay)
{
	double step_ms = replay->setting->decay_ms / SIMULATE_STEPS;
	double ended = (double)(unsigned long long)(replay->now_ms / step_ms) * step_ms;

	return ended + (ended < replay->now_ms ? 2 : 1) * step_ms;
}

static void start_window(struct replay *replay)
{
	memset(replay->low, 0, sizeof replay->low);
	replay->slot = 0;
	replay->quiet = 0;
	replay->least = replay->began = level(replay);
	replay->next_ms = 0;
	if (replay->least > 0)
		replay->next_ms = first_end(replay);
}

static unsigned spare(const struct replay *replay)
{
	unsigned least = replay->low[0], kept = replay->quiet < SIMULATE_STEPS ? SIMULATE_KEPT : 0;

	for (unsigned i = 1; i < SIMULATE_STEPS; i++)
		least = replay->low[i] < least ? replay->low[i] : least;
	return least > kept ? least - kept : 0;
}

static void trim(struct replay *replay)
{
	if (replay->next_ms == 0 || level(replay) == 0) {
		start_window(replay);
		return;
	}
	replay->next_ms = replay->now_ms + replay->setting->decay_ms / SIMULATE_STEPS;
	replay->quiet =
	        replay->least == replay->began && level(replay) == replay->began ? replay->quiet + 1 : 0;
	replay->low[replay->slot] = replay->least;
	replay->slot = (replay->slot + 1) % SIMULATE_STEPS;
	unsigned release = (spare(replay) + 1) / 2;
	for (unsigned i = 0; i < SIMULATE_STEPS; i++)
		replay->low[i] -= release;
	replay->objects -= (double)release * BATCH;
	replay->outcome->trimmed += (double)release * BATCH;
	replay->least = replay->began = level(replay);
}

/* ---- the depot ---- */

static void note_level(struct replay *replay)
{
	if (level(replay) < replay->least)
		replay->least = level(replay);
	if (depot(replay) > replay->outcome->idle_most)
		replay->outcome->idle_most = depot(replay);
	if (replay->setting->decay_ms != 0 && replay->next_ms == 0 && level(replay) > 0)
		start_window(replay);
}

static void use(struct replay *replay, double in_use)
{
	double most = in_use + (double)replay->setting->max_batches * BATCH;

	replay->in_use = in_use;
	if (in_use > replay->objects) {
		replay->outcome->misses += in_use - replay->objects;
		replay->objects = in_use;
	}
	if (replay->objects > most)
		replay->objects = most;
	note_level(replay);
}

/* Time passes, and only the trimming happens. */
static void pass(struct replay *replay, double ms)
{
	double end_ms = replay->now_ms + ms;

	while (replay->next_ms != 0 && replay->next_ms <= end_ms) {
		double next_ms = replay->next_ms;
		replay->idle_ms += depot(replay) * (next_ms - replay->now_ms);
		replay->now_ms = next_ms;
		trim(replay);
	}
	replay->idle_ms += depot(replay) * (end_ms - replay->now_ms);
	replay->now_ms = end_ms;
}

/* Use falls and rises `times` times. After a few, all others cost as much as the last. */
static void swing(struct replay *replay, const struct demand_step *step, double times)
{
	double before = replay->outcome->misses, whole = (double)(unsigned long long)times;
	double depth = step->most - step->least;

	use(replay, step->most - depth * (times - whole));
	use(replay, step->most);
	for (double i = 0; i < whole; i++) {
		if (i == CYCLES) {
			replay->outcome->misses += (replay->outcome->misses - before) * (whole - i);
			break;
		}
		before = replay->outcome->misses;
		use(replay, step->least);
		use(replay, step->most);
	}
}

static void run_step(struct replay *replay, const struct demand_step *step)
{
	double left = step->rise - (step->most - step->begin), depth = step->most - step->least;

	pass(replay, step->ms / 2);
	use(replay, step->most);
	if (left > 0 && depth > 0)
		swing(replay, step, left / depth);
	use(replay, step->end);
	pass(replay, step->ms / 2);
	/* The pool also looks at the clock at each sample. */
	if (replay->next_ms != 0 && level(replay) == 0)
		start_window(replay);
}

void simulate(const struct demand_step *step, size_t steps, double objects, const struct tuning *setting,
        struct outcome *outcome)
{
	struct replay replay = {.setting = setting, .outcome = outcome, .objects = objects};

	*outcome = (struct outcome){0};
	if (steps > 0)
		use(&replay, step[0].begin);
	outcome->misses = 0;
	for (size_t i = 0; i < steps; i++)
		run_step(&replay, &step[i]);
	outcome->idle = replay.now_ms > 0 ? replay.idle_ms / replay.now_ms : 0;
}
