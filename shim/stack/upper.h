/* SPDX-License-Identifier: MIT */
/*
 * The guard at the high end of the slots of a reserved class, if the program opens its stacks between two guards:
 *
 *	slot  | guard | open to the program | upper guard |
 *
 * All slots of a class have the same size of upper guard. The first slot that is opened decides it; a slot that is
 * opened in another way is retired. So every open slot has one, and it costs nothing each time. It is a guard by
 * madvise if the arena's guards are; otherwise these pages are not opened, which takes one more memory map.
 *
 * The caller must own the slot. errno survives.
 */
#ifndef COPOOL_STACK_UPPER_H
#define COPOOL_STACK_UPPER_H

#include "stack/arena.h"

/*
 * Decides that slots of the class have an upper guard of `bytes` (0: none), if nobody has. 0, or -ENOTSUP if it is
 * another.
 */
int upper_agree(struct arena_class *class, size_t bytes);

/* Gives a slot the protection of its class, but for its upper guard. 0, or -errno: then it is unchanged. */
int upper_open(const struct arena_place *place);

/* Turns the upper guard into pages that mprotect protects. 0 or -errno. */
int upper_settle(const struct arena_place *place);

/* Whether the upper guard takes a memory map. */
bool upper_splits(const struct arena_place *place);

#endif
