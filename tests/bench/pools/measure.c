/* SPDX-License-Identifier: MIT */
/* A slice is dropped when one of its threads was off its processor for more than three hundredths of the
 * time. */
#include "measure.h"

#include <math.h>
#include <stdlib.h>

enum {
	FIRST_PAIRS = 2000,
	CALIBRATIONS = 5,
	LONG_OBJECTS = 20000,
	TRIES_A_ROUND = 6,
	TRIES_OF_TWO = 40, /* both on a processor at once is rare on a busy machine */
	SITTINGS = 5,      /* of new processes: one has luck with where its memory lies, and keeps it */
};

static const double undisturbed = 0.97;

static const uint64_t height[PATTERNS] = {
        [PING_PONG] = 1,
        [SAW_64] = 64,
        [SAW_1000] = 1000,
        [EDGE_2] = 2,
        [EDGE_4] = 4,
        [EDGE_8] = 8,
        [EDGE_16] = 16,
        [EDGE_32] = 32,
        [HAND_OVER] = RING_SLOTS / 2,
        [WALK] = 1,
};

uint64_t measure_whole(enum pattern pattern, uint64_t pairs, uint64_t wide)
{
	uint64_t unit = pattern == SAW_WIDE ? wide : height[pattern];

	return (pairs + unit - 1) / unit * unit;
}

void entrant_begin(struct entrant *entrant)
{
	entrant->is_here =
	        worker_begin(&entrant->process, entrant->program, entrant->contender, entrant->preload) == 0;
}

void entrant_end(struct entrant *entrant)
{
	if (entrant->is_here)
		worker_end(&entrant->process);
}

static bool ask(struct entrant *entrant, const struct order *order, struct answer *answer)
{
	if (!entrant->is_here)
		return false;
	entrant->is_here = worker_ask(&entrant->process, order, answer);
	return entrant->is_here;
}

bool measure_once(struct entrant *entrant, const struct order *what, struct answer *answer)
{
	struct order order = *what;

	bool is_answered;

	order.is_called = entrant->is_called;
	entrant_begin(entrant);
	is_answered = ask(entrant, &order, answer);
	entrant_end(entrant);
	return is_answered;
}

/* Many objects: one round takes longer than a slice, and has to be taken as it comes. */
static bool is_long(const struct order *order)
{
	return order->wide > LONG_OBJECTS;
}

/* How many pairs take about as long as a slice shall. */
static uint64_t calibrate(struct entrant *entrant, const struct plan *plan, struct order order)
{
	struct answer answer;
	double pairs, best = 1000;

	order.pairs = measure_whole(order.pattern, FIRST_PAIRS, order.wide);
	if (is_long(&order))
		return order.pairs;
	for (unsigned i = 0; i < CALIBRATIONS; i++) {
		if (ask(entrant, &order, &answer) && (i == 0 || answer.ns < best))
			best = answer.ns;
		if (i == 0)
			order.pairs =
			        measure_whole(order.pattern, order.pairs * 4, order.wide); /* warm now */
	}
	pairs = plan->slice_us * 1000.0 / best;
	return measure_whole(order.pattern, pairs > FIRST_PAIRS ? (uint64_t)pairs : FIRST_PAIRS, order.wide);
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static struct times times_of(double *value, unsigned count, unsigned dropped)
{
	if (count == 0)
		return (struct times){NAN, NAN, NAN, 0, dropped};
	qsort(value, count, sizeof *value, compare);
	return (struct times){value[count / 2], value[count / 4], value[count * 3 / 4], count, dropped};
}

/* What has been taken down of one entrant. */
struct tally {
	struct order order;
	double value[ROUNDS_MOST];
	unsigned kept, dropped;
};

/* Slices in turns until each entrant has `wanted` of them, or has been tried too often. */
static void sit(
        struct entrant *entrants, struct tally *tally, unsigned count, unsigned wanted, unsigned tries)
{
	for (unsigned round = 0; round < tries; round++) {
		for (unsigned k = 0; k < count; k++) {
			unsigned i = (k + round) % count; /* nobody is always behind the same one */
			struct answer answer;

			if (tally[i].kept >= wanted || !ask(&entrants[i], &tally[i].order, &answer))
				continue;
			if (answer.processor < undisturbed && !is_long(&tally[i].order))
				tally[i].dropped++;
			else
				tally[i].value[tally[i].kept++] = answer.ns;
		}
	}
}

/* How many slices all sittings up to this one shall have had. */
static unsigned wanted_by(unsigned sitting, unsigned rounds)
{
	return (rounds * (sitting + 1) + SITTINGS - 1) / SITTINGS;
}

void measure(struct entrant *entrants, unsigned count, const struct plan *plan, const struct order *what,
        struct times *times)
{
	struct tally *tally = calloc(count, sizeof *tally);
	unsigned each = what->pattern == HAND_OVER && what->threads > 1 ? TRIES_OF_TWO : TRIES_A_ROUND;

	if (tally == NULL)
		exit(1);
	for (unsigned sitting = 0; sitting < SITTINGS; sitting++) {
		for (unsigned i = 0; i < count; i++) {
			tally[i].order = *what;
			tally[i].order.is_called = entrants[i].is_called;
			if (entrants[i].is_here)
				entrant_begin(&entrants[i]);
			tally[i].order.pairs = calibrate(&entrants[i], plan, tally[i].order);
		}
		sit(entrants, tally, count, wanted_by(sitting, plan->rounds),
		        each * ((plan->rounds + SITTINGS - 1) / SITTINGS));
		for (unsigned i = 0; i < count; i++)
			entrant_end(&entrants[i]);
	}
	for (unsigned i = 0; i < count; i++)
		times[i] = times_of(tally[i].value, tally[i].kept, tally[i].dropped);
	free(tally);
}

double geometric_mean(const double *value, unsigned count)
{
	double sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += log(value[i]);
	return exp(sum / count);
}
