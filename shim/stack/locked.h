/* SPDX-License-Identifier: MIT */
/*
 * For a program that locks all its memory with mlockall, or limits it. Without this, reserved addresses would count
 * against its limit; idle stacks would be filled with memory; the kernel would fill the program's mapping only up to
 * the first guard; and recycled stacks would stay locked, or unlocked, unlike new ones. All threads. errno survives.
 */
#ifndef COPOOL_STACK_LOCKED_H
#define COPOOL_STACK_LOCKED_H

#include "stack/arena.h"

/* Unmaps the addresses of slots that were never used. The arena grows again when it must. */
void arena_shrink(struct arena *arena);

/*
 * Ensures that no slot is reused in its present state: those in the program's hands are retired, all others are
 * mapped again and closed.
 */
void arena_start_over(struct arena *arena);

/*
 * Unmaps all slots that are not in the program's hands, and what was never used. They are never handed out again, and
 * the kernel may map anything there; the arena grows when it must.
 */
void arena_vacate(struct arena *arena);

/* How many bytes the arena takes of the address space. */
uint64_t arena_reserved(const struct arena *arena);

/* Whether that is more than its share of a limit. */
bool arena_exceeds(const struct arena *arena, uint64_t bytes);

#endif
