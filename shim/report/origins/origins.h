/* SPDX-License-Identifier: MIT */
/*
 * Who causes the misses (COPOOL_ORIGINS), and who created what nobody destroys (COPOOL_LEAKS): what the pools
 * tell of creates and destroys, put together with the call stacks that it came from.
 */
#ifndef COPOOL_REPORT_ORIGINS_ORIGINS_H
#define COPOOL_REPORT_ORIGINS_ORIGINS_H

#include "report/origins/callers.h"

struct config;

/* In the constructor, before pools_init: has the pools tell, if that is wanted. */
void origins_ask(const struct config *config);

/* In the constructor, once there is something to pool. */
void origins_start(void);

/* In the statistics thread: see unwind_begin. */
void origins_begin(bool is_private);

/* In a fork's child, after unwind_fork_child: its counts begin anew. What is alive stays known. */
void origins_fork_child(void);

/* Each miss that was recorded stands for so many; 0: none is. */
unsigned origins_every(void);

/* What was recorded; NULL: nothing was wanted. Stays valid. */
const struct callers *origins_callers(void);

/*
 * Adds to live[number] how many objects are alive that were created there, CALLERS_NUMBERS of them; false
 * when that was not asked for. `unknown` is how many there was no room for.
 */
bool origins_live(unsigned *live, unsigned *unknown);

#endif
