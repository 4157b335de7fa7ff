/* SPDX-License-Identifier: MIT */
/*
 * Settings that may change while the program runs. A process with permission writes these words from outside (copool
 * set); the shim reads them where they matter, and trusts none to be in its range.
 */
#ifndef COPOOL_POOL_CONTROL_H
#define COPOOL_POOL_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pool_control {
	_Atomic uint32_t asked;       /* differs from `done`: something has changed */
	_Atomic uint32_t done;        /* the last `asked` of which all is done; the statistics thread's */
	_Atomic uint32_t decay_ms;    /* 0: never; at first what pools_init was given */
	_Atomic uint32_t max_batches; /* cap on every depot; BATCHES_DERIVED, at first: each pool's own */
	_Atomic uint32_t is_off;      /* not 0: the depots keep nothing */
	_Atomic uint32_t
	        emptied; /* differs from its value at the last `done`: the depots are to be emptied */
};

/* The words. */
struct pool_control *control_words(void);

/* Sets their first values. For pools_init. */
void control_init(unsigned decay_ms);

/* Whether something is asked for that only pool_trim_tick() can do. Any thread. */
bool pool_is_asked(void);

/* Whether the pools are switched off: nothing is kept. */
bool pool_is_off(void);

/* How many batches a depot may hold now that began with a cap of `max_batches`. */
unsigned control_limit(unsigned max_batches);

/* Milliseconds after which unneeded objects are given back, whatever was written; 0: never. */
unsigned control_decay_ms(void);

/* What is asked for now; when all of it is done, the statistics thread passes it to control_set_done. */
struct control_request {
	uint32_t asked;
	bool is_emptying; /* the depots are to be emptied */
	uint32_t emptied;
};

struct control_request control_request(void);
void control_set_done(const struct control_request *request);

#endif
