/* SPDX-License-Identifier: MIT */
/*
 * The kinds of coroutine stacks that a program asks for, and the pool of each. Two requests are of one class if they
 * have the same size, protection, flags and call site; the first of them sets the class up.
 *
 * All threads, at any time; nothing here waits.
 */
#ifndef COPOOL_ADAPTER_CLASSES_H
#define COPOOL_ADAPTER_CLASSES_H

#include "stack/arena.h"

struct request;

/* Called once, before all others: the arena that slots are taken from, and the cap of each pool. */
void classes_init(struct arena *arena, unsigned max_batches);

/* How many batches the system allows in each pool; for the log, before there is a pool. */
unsigned classes_cap_bearable(void);

/*
 * Returns a stack for such a request, and fills in its last two fields. NULL: it is not for a stack, or there is
 * none; then the program must map one itself.
 */
void *classes_get(struct request *request);

/* Gives a whole slot that the program has unmapped, SLOT_IDLE, to the pool of its class. */
void classes_put(const struct arena_place *place);

/* Counts a system call that was not made for a slot of this class. */
void classes_count_saved(const struct arena_class *slots);

/* How many stacks came back from the program so far. It may count one twice, and never falls. */
uint64_t classes_returned(void);

/* In a fork's child: ends what other threads were doing. */
void classes_fork_child(void);

#endif
