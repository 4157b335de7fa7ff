/* SPDX-License-Identifier: MIT */
/*
 * Page tables, which the arena gives back beyond the memory of its slots. One serves a span of 2 MiB, in
 * which slots of any offset lie:
 *
 *	spans  |          |          |          |	the middle one can go when both slots in it are free
 *	slots     | free     | free     | live
 *
 * Free slots are claimed for that moment, SLOT_BUSY, so that nobody takes one. All threads. errno survives.
 */
#ifndef COPOOL_STACK_RECLAIM_H
#define COPOOL_STACK_RECLAIM_H

#include "stack/arena.h"

/*
 * After arena_free: where no slot in use shares the page tables of this one, gives these back too
 * (Linux 6.14; 4 KiB for each stack of 2 MiB, which the process's resident size does not show).
 */
void arena_reclaim(const struct arena_place *place);

#endif
