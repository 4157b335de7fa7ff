/* SPDX-License-Identifier: MIT */
/*
 * Whether what a class's slots are used for are coroutine stacks, all of them, seen by what a coroutine leaves at the top
 * of its stack: its root, the address that its first function would return to, which lies in code that is known.
 *
 *	| guard | stack, which grows down …           root | what the program keeps above |
 *	                                              ^ `depth` bytes below the slot's end
 *
 *	proven	so far each slot of the class that came back had its root, all at the same depth: may be handed out as it
 *		was left, but for what is above, which becomes zero, as nobody knows what it is
 *	ended	one had none, or was unmapped in parts: never proven again
 *
 * What is on a stack when a function starts is anything, so no program can rely on zeroes there. All threads.
 */
#ifndef COPOOL_STACK_ROOTS_H
#define COPOOL_STACK_ROOTS_H

#include "stack/arena.h"

enum { ROOTS_PROOFS = 1024, ROOTS_ENDED = -1, ROOTS_TOP_BYTES = 4096 };

/* A class's; all zero: its stacks are never proven. Not for slots that the program opens itself: their top may be closed. */
struct roots {
	uintptr_t low,
	        high; /* the code that has the roots, without its first byte; written before its first use */
	_Atomic int32_t proofs; /* up to ROOTS_PROOFS; or ROOTS_ENDED */
	_Atomic uint32_t depth; /* up to ROOTS_TOP_BYTES; 0: none was seen yet */
};

/* A slot comes back from the program, which got it zeroed or by roots_clear; the caller owns it. */
void roots_note_return(struct roots *roots, const struct arena_place *place);

/* Makes what is above a slot's root zero, and the root; the class was proven, and the caller owns the slot. */
void roots_clear(const struct roots *roots, const struct arena_place *place);

/* A slot of the class was not used as a stack. */
void roots_end(struct roots *roots);

/* Whether slots may be handed out as they were left, by roots_clear. */
static inline bool roots_are_proven(const struct roots *roots)
{
	/* [roots.proofs] acquire: the depth; pairs with roots_note_return. */
	return atomic_load_explicit((_Atomic int32_t *)&roots->proofs, memory_order_acquire) == ROOTS_PROOFS;
}

#endif
