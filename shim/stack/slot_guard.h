/* SPDX-License-Identifier: MIT */
/*
 * The guard at the low end of a slot: the one of the last use, the one that the program asks for, and what becomes of
 * it when the slot is treated. How a page becomes a guard is stack/guard.h's.
 *
 * The caller must hold the slot. Any thread. errno survives. "0 or -errno" means that the slot is unchanged after a
 * failure.
 */
#ifndef COPOOL_STACK_SLOT_GUARD_H
#define COPOOL_STACK_SLOT_GUARD_H

#include "stack/arena.h"

/*
 * Makes the lowest `bytes` of a slot a guard, unless they are one already. The contents of these pages come back
 * after arena_unguard. 0 or -errno.
 */
int arena_guard(const struct arena_place *place, size_t bytes);

/* Removes the slot's guard, if it has one. 0 or -errno. */
int arena_unguard(const struct arena_place *place);

/*
 * The program itself advises the kernel to make the lowest `bytes` of a slot a guard (MADV_GUARD_INSTALL, Linux
 * 6.13); does so, unless they are such a guard already. It belongs to the pages, not to the mapping: it survives any
 * change of protection. 0 or -errno: -ENOTSUP if the slot is not as it was handed out.
 */
int arena_advise_guard(const struct arena_place *place, size_t bytes);

/* The program advises the kernel to remove that guard, all of it. 0 or -errno: -ENOTSUP if there is no such guard. */
int arena_advise_away(const struct arena_place *place, size_t bytes);

/* Whether the program has set up the slot's guard by advice. */
static inline bool arena_is_advised(const struct slot *slot)
{
	return slot->guard_bytes != 0 && slot->is_advised;
}

/* Writes a mark to the low end of a slot that is about to be handed out without a guard; see stack/trust.h. */
void arena_mark(const struct arena_place *place);

/* Turns all guards of a slot of the program's into protections of the mapping. 0 or -errno. */
int arena_settle(const struct arena_place *place);

/* Forgets the slot's guard, which has gone another way. */
void arena_forget_guard(const struct arena_place *place);

#endif
