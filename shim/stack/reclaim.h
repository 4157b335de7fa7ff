/* SPDX-License-Identifier: MIT */
/*
 * Page tables, which the arena gives back together with the memory of its slots. A page table covers a span of 2 MiB,
 * and slots of any offset lie in it:
 *
 *	spans  |          |          |          |	the middle one can go if both slots in it are free
 *	slots     | free     | free     | live
 *
 * Free slots are claimed for that moment, SLOT_BUSY, so that no thread takes them. All threads. errno survives.
 */
#ifndef COPOOL_STACK_RECLAIM_H
#define COPOOL_STACK_RECLAIM_H

#include "stack/arena.h"

/*
 * After arena_free: gives back the page tables of the slot that no used slot shares (Linux 6.14; 4 KiB for each stack
 * of 2 MiB, which are not in the process's resident size).
 */
void arena_reclaim(const struct arena_place *place);

#endif
