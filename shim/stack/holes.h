/* SPDX-License-Identifier: MIT */
/*
 * The parts of a slot that the program has unmapped while the slot is still its own: a bit for each page, in a table
 * that a chunk gets with its first hole.
 *
 * A thread that changes the holes of a slot must hold it, SLOT_TREATED or SLOT_BUSY; all threads read them. errno
 * survives.
 */
#ifndef COPOOL_STACK_HOLES_H
#define COPOOL_STACK_HOLES_H

#include "stack/arena.h"

/* Makes a range of the slot a hole. False: no memory to remember that. */
bool holes_add(const struct arena_place *place, uintptr_t low, size_t bytes);

/* Ends that: the range is no hole. */
void holes_fill(const struct arena_place *place, uintptr_t low, size_t bytes);

/* Returns how many bytes from `low` on are alike, at most `bytes`, and sets whether they are a hole. */
size_t holes_run(const struct arena_place *place, uintptr_t low, size_t bytes, bool *is_hole);

/* Whether all of the slot is a hole. */
bool holes_are_all(const struct arena_place *place);

#endif
