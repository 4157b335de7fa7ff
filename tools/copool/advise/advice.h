/* SPDX-License-Identifier: MIT */
/* Settings compared on one pool's demand, and which of them is better than the present one. */
#ifndef COPOOL_TOOLS_ADVISE_ADVICE_H
#define COPOOL_TOOLS_ADVISE_ADVICE_H

#include "judge/demand.h"
#include "judge/simulate.h"

enum {
	ADVICE_ROWS = 32,
	ADVICE_STEPS_MIN = 20,   /* fewer samples tell too little */
	ADVICE_OBJECTS_MIN = 64, /* to save fewer is not worth a setting */
};

struct advice_row {
	struct tuning setting;
	double misses;    /* expected in the time that the log covers */
	double idle;      /* objects, the mean over that time */
	double idle_most; /* in the depot */
};

enum advice_kind { ADVICE_NONE, ADVICE_FINE, ADVICE_LESS_MEMORY, ADVICE_FEWER_MISSES };

struct advice {
	struct advice_row row[ADVICE_ROWS]; /* sorted by what they set; row[present] is in force */
	size_t rows, present;
	double replayed; /* misses that the replay has with the present setting, to compare with those seen */
	double misses;   /* that were seen, in the same time */
	enum advice_kind kind;
	size_t better; /* which row, for the last two kinds */
};

/*
 * Replays the demand with the present setting, with others, and with `decay_ms` and `max_batches` unless they are
 * negative.
 */
void advise(const struct demand *demand, const struct tuning *present, long decay_ms, long max_batches,
        struct advice *advice);

/* Whether the replay with the present setting agrees with what was seen, so that the others can be trusted. */
int advice_is_sound(const struct advice *advice);

#endif
