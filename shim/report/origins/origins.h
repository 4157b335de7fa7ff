/* SPDX-License-Identifier: MIT */
/*
 * Which call stacks cause misses (COPOOL_ORIGINS), and which created objects that are still alive (COPOOL_LEAKS). The
 * pools report their creates and destroys to an observer here, which records the caller's stack.
 */
#ifndef COPOOL_REPORT_ORIGINS_ORIGINS_H
#define COPOOL_REPORT_ORIGINS_ORIGINS_H

#include "report/origins/callers.h"

struct config;

/* In the constructor, before pools_init: sets the pools' observer, if the settings ask for it. */
void origins_ask(const struct config *config);

/* In the constructor, if there is or may be something to pool: makes the table and loads libunwind. */
void origins_start(void);

/* In the statistics thread: recording begins; see unwind_begin. */
void origins_begin(bool is_private);

/* In a fork's child, after unwind_fork_child: misses begin at 0; live objects stay known. */
void origins_fork_child(void);

/* One of how many misses is recorded; 0: none. */
unsigned origins_every(void);

/* The recorded stacks, which stay valid; NULL: nothing is recorded. */
const struct callers *origins_callers(void);

/*
 * Adds to live[number] how many objects are alive that this stack created; `live` has CALLERS_NUMBERS entries.
 * `unknown` is how many objects there was no room for. Returns false, and adds nothing, without COPOOL_LEAKS.
 */
bool origins_live(unsigned *live, unsigned *unknown);

#endif
