/* SPDX-License-Identifier: MIT */
/*
 * What a program has unmapped of a slot that is still its own: a bit for each page, in a table that a chunk gets
 * with its first hole. A slot that was never treated so has none.
 *
 * Who changes the holes of a slot holds it, SLOT_TREATED or SLOT_BUSY; all threads read them. errno survives.
 */
#ifndef COPOOL_STACK_HOLES_H
#define COPOOL_STACK_HOLES_H

#include "stack/arena.h"

/* A range of the slot becomes a hole. False: there is no memory to remember it. */
bool holes_add(const struct arena_place *place, uintptr_t low, size_t bytes);

/* It is none any more. */
void holes_fill(const struct arena_place *place, uintptr_t low, size_t bytes);

/* How many bytes from `low` on are alike, `bytes` at most; and whether they are a hole. */
size_t holes_run(const struct arena_place *place, uintptr_t low, size_t bytes, bool *is_hole);

/* Whether nothing is left of the slot. */
bool holes_are_all(const struct arena_place *place);

#endif
