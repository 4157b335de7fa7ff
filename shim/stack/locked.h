/* SPDX-License-Identifier: MIT */
/*
 * For a program that locks all its memory, with mlockall. Addresses that are only reserved count against its
 * limit; idle stacks would be filled with memory; the program's own would be filled up to the first guard
 * only, where the kernel leaves a mapping; and stacks of before would stay locked, or unlocked, when they
 * come again as new ones. All threads. errno survives.
 */
#ifndef COPOOL_STACK_LOCKED_H
#define COPOOL_STACK_LOCKED_H

#include "stack/arena.h"

/* Unmaps what is reserved for slots that were never used. The arena grows again when it must. */
void arena_shrink(struct arena *arena);

/*
 * Sees to it that no slot comes again as it is now: those in the program's hands are retired, all others are
 * mapped anew and closed.
 */
void arena_start_over(struct arena *arena);

#endif
