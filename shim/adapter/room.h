/* SPDX-License-Identifier: MIT */
/*
 * Memory for what the program lacks it for: that of stacks which it does not use. It is given up only where that may
 * help: a program that asks for more than there is, again and again, keeps its pools, and pays for no walk over them.
 * One state for the process. All threads.
 */
#ifndef COPOOL_ADAPTER_ROOM_H
#define COPOOL_ADAPTER_ROOM_H

#include "stack/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* Notes the limits on addresses and data that the process has from the beginning. */
void room_init(void);

/*
 * The program has set a limit, perhaps on its addresses or data. Returns what that is now, RLIM_INFINITY for none. In a
 * child of vfork it is the child's, and the parent is taken for limited from then on. errno survives.
 */
uint64_t room_note_limit(int resource);

/* Whether a call that has failed to map anything, with these flags of mmap, may lack what stacks take. */
bool room_is_for(int flags);

/* Gives up idle stacks for a call that lacks `bytes`. False: nothing is gained by making it again. errno survives. */
bool room_make(struct arena *arena, size_t bytes);

#endif
