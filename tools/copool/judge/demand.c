/* SPDX-License-Identifier: MIT */
/*
 * How much was in use between two samples, from what they say of the depot:
 *
 *	in use = objects - depot		at each sample, exact
 *	most in use = objects - lowest depot	in between; exact while no object was trimmed or deleted
 *	sum of all rises = objects taken from the depot + made
 *	how often it rose = objects taken from the depot / (highest - lowest depot)
 *
 * The last is right for bursts of one size; others count in part.
 */
#include "judge/demand.h"

#include <stdlib.h>
#include <string.h>

#include "report/record.h"

static const double EVENTS_MOST = 1e15, OBJECTS_MOST = 1e9; /* larger numbers make no sense */

static double bounded(const json_t *record, const char *name, double most)
{
	double value = json_number_value(json_object_get(record, name));

	return value > 0 && value < most ? value : 0;
}

static double number(const json_t *record, const char *name)
{
	return bounded(record, name, EVENTS_MOST);
}

static double objects(const json_t *record, const char *name)
{
	return bounded(record, name, OBJECTS_MOST);
}

static struct demand_sample sample_of(const json_t *record)
{
	return (struct demand_sample){
	        .ms = number(record, "uptime_ms"),
	        .objects = objects(record, "live") + objects(record, "pooled"),
	        .depot = objects(record, "depot_batches") * RECORD_BATCH_SIZE,
	        .low = objects(record, "depot_low") * RECORD_BATCH_SIZE,
	        .high = objects(record, "depot_high") * RECORD_BATCH_SIZE,
	        .taken = number(record, "create_depot") * RECORD_BATCH_SIZE,
	        .made = number(record, "create_new"),
	        .created = number(record, "create_local") + number(record, "create_depot") +
	                   number(record, "create_new"),
	        .kept = number(record, "destroy_local") + number(record, "destroy_depot"),
	        .trimmed = number(record, "trimmed"),
	        .deleted = number(record, "destroy_delete"),
	        .peak = objects(record, "peak_objects"),
	};
}

static double in_use(const struct demand_sample *sample)
{
	return sample->objects > sample->depot ? sample->objects - sample->depot : 0;
}

static double greater(double a, double b)
{
	return a > b ? a : b;
}

/* Most objects in use between two samples. */
static double most_in_use(const struct demand_sample *a, const struct demand_sample *b, double decay_ms)
{
	double made = b->made - a->made, low = b->low, most = b->objects + (b->deleted - a->deleted) - low;

	/* Misses after a window's trimming were needed before it; otherwise what was trimmed was spare. */
	if (low == 0 && made > 0 && decay_ms > 0 && b->ms - a->ms >= decay_ms)
		most += b->trimmed - a->trimmed;
	if (most > b->peak - low)
		most = b->peak - low; /* deleted and made several times over */
	return greater(most, greater(in_use(a), in_use(b)));
}

/* Least in use between two samples, given the most and the sum of all rises. */
static float least_in_use(
        const struct demand_sample *a, const struct demand_sample *b, float most, float rise)
{
	double taken = b->taken - a->taken, depth = b->high - b->low;
	double least = in_use(a) < in_use(b) ? in_use(a) : in_use(b);

	if (taken > 0 && depth > 0 && least > most - rise * depth / taken)
		least = most - rise * depth / taken;
	return least > 0 ? (float)least : 0;
}

static struct demand_step step_between(
        const struct demand_sample *a, const struct demand_sample *b, double decay_ms)
{
	struct demand_step step = {
	        .ms = (float)(b->ms - a->ms),
	        .begin = (float)in_use(a),
	        .end = (float)in_use(b),
	        .most = (float)most_in_use(a, b, decay_ms),
	        .rise = (float)(b->taken - a->taken + b->made - a->made),
	};

	step.least = least_in_use(a, b, step.most, step.rise);
	return step;
}

static void append(struct demand_step *step, const struct demand_step *next)
{
	step->ms += next->ms;
	step->end = next->end;
	step->rise += next->rise;
	if (next->most > step->most)
		step->most = next->most;
	if (next->least < step->least)
		step->least = next->least;
}

static void thin(struct demand *demand)
{
	for (size_t i = 0; i < demand->steps / 2; i++) {
		demand->step[i] = demand->step[2 * i];
		append(&demand->step[i], &demand->step[2 * i + 1]);
	}
	demand->steps /= 2;
	demand->stride *= 2;
	demand->filled = demand->stride;
}

/* False: no memory. */
static bool add_step(struct demand *demand, const struct demand_step *step)
{
	if (demand->steps > 0 && demand->filled < demand->stride) {
		append(&demand->step[demand->steps - 1], step);
		demand->filled++;
		return true;
	}
	if (demand->steps == DEMAND_STEPS) {
		thin(demand);
	} else if (demand->steps == demand->room) {
		size_t room = demand->room ? 2 * demand->room : 64;
		struct demand_step *grown = realloc(demand->step, room * sizeof *grown);
		if (grown == NULL)
			return false;
		demand->step = grown;
		demand->room = room;
	}
	demand->step[demand->steps++] = *step;
	demand->filled = 1;
	return true;
}

static struct demand *find(struct demands *demands, size_t process, size_t pool)
{
	for (size_t i = demands->pools; i-- > 0;) {
		if (demands->of[i]->process == process && demands->of[i]->pool == pool)
			return demands->of[i];
	}
	struct demand *demand = demands->pools < DEMAND_POOLS ? calloc(1, sizeof *demand) : NULL;
	if (demand != NULL) {
		demand->process = process;
		demand->pool = pool;
		demand->stride = 1;
		demands->of[demands->pools++] = demand;
	}
	return demand;
}

static void note(void *context, size_t process, size_t pool, bool opened, const json_t *record)
{
	struct demands *demands = context;
	struct demand *demand = find(demands, process, pool);
	struct demand_sample now = sample_of(record);

	if (demand == NULL) {
		demands->left_out++;
		return;
	}
	demand->is_old |= json_object_get(record, "depot_low") == NULL;
	demand->is_counted = now.made > 0 && now.taken + now.kept == 0;
	if (demand->samples == 0) {
		const json_t *open = demands->book->process[process].open;
		demand->decay_ms = number(open, "decay_ms");
		/* The counters of a process begin at 0, but a forked child has inherited objects. */
		demand->first = demand->last =
		        opened && number(record, "inherited") == 0 ? (struct demand_sample){0} : now;
	}
	demand->samples++;
	demand->cached += now.objects - objects(record, "live") - now.depot;
	demand->idle += now.objects - objects(record, "live");
	demand->most_depot = greater(demand->most_depot, now.depot);
	if (now.ms < demand->last.ms || now.made < demand->last.made) {
		demand->has_hole = true;
		return;
	}
	if (now.ms > demand->last.ms) {
		struct demand_step step = step_between(&demand->last, &now, demand->decay_ms);
		if (!add_step(demand, &step))
			demands->left_out++;
	}
	demand->last = now;
}

void demands_watch(struct demands *demands, struct book *book)
{
	memset(demands, 0, sizeof *demands);
	demands->book = book;
	book->watch.listener[book->watch.listeners++] = (struct book_listener){note, demands};
}

const struct demand *demand_of(const struct demands *demands, size_t process, size_t pool)
{
	for (size_t i = 0; i < demands->pools; i++) {
		if (demands->of[i]->process == process && demands->of[i]->pool == pool)
			return demands->of[i];
	}
	return NULL;
}

void demands_free(struct demands *demands)
{
	for (size_t i = 0; i < demands->pools; i++) {
		free(demands->of[i]->step);
		free(demands->of[i]);
	}
}
