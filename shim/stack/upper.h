/* SPDX-License-Identifier: MIT */
/*
 * The guard that slots have at their high end in a class that is handed out as PROT_NONE, if the program opens its stacks
 * between two guards:
 *
 *	slot  | guard | open to the program | upper guard |
 *
 * It is of one size in a class, which the first slot that is opened decides; a slot that is opened in another way is retired.
 * So it belongs to what a slot is like that has been opened, and costs nothing each time: where is_open is set, it is there.
 * It is one by madvise where the arena's guards are; else what is not opened, a memory map more.
 *
 * The slot is the caller's. errno survives.
 */
#ifndef COPOOL_STACK_UPPER_H
#define COPOOL_STACK_UPPER_H

#include "stack/arena.h"

/* Whether slots of the class have an upper guard of `bytes`, 0 being none; decides it if nobody has. 0 or -ENOTSUP. */
int upper_agree(struct arena_class *class, size_t bytes);

/* Gives a slot its class's protection, but for its upper guard. 0, or -errno: then it is as it was. */
int upper_open(const struct arena_place *place);

/* Makes the upper guard pages that are protected by mprotect. 0 or -errno. */
int upper_settle(const struct arena_place *place);

/* Whether it takes a memory map. */
bool upper_splits(const struct arena_place *place);

#endif
