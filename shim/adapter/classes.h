/* SPDX-License-Identifier: MIT */
/*
 * The kinds of coroutine stacks that a program asks for, and the pool that each has. Requests are of one
 * class when they are alike in all that struct request says; a class is set up by its first request.
 *
 * All threads, at any time; nothing here waits.
 */
#ifndef COPOOL_ADAPTER_CLASSES_H
#define COPOOL_ADAPTER_CLASSES_H

#include "stack/arena.h"

struct request;

/* Once, before all else: the arena that slots are taken from, and each pool's cap. */
void classes_init(struct arena *arena, unsigned max_batches);

/* How many batches the system allows in each pool; for the log, before there is one. */
unsigned classes_cap_bearable(void);

/*
 * A stack for such a request, of which the last two fields are still open; NULL: it is not one for a stack, or
 * there is none to be had, and the program is to map one itself.
 */
void *classes_get(struct request *request);

/* Gives a whole slot that the program has unmapped, SLOT_IDLE, to its class's pool. */
void classes_put(const struct arena_place *place);

/* A system call was not made that a slot of this class would have cost. */
void classes_count_saved(const struct arena_class *slots);

/* In a fork's child: what other threads were doing is not being done any more. */
void classes_fork_child(void);

#endif
