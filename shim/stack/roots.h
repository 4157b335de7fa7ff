/* SPDX-License-Identifier: MIT */
/*
 * Whether all slots of a class are used as coroutine stacks, judged by what a coroutine leaves at the top of its
 * stack: its root, the return address of its first function, which lies in known code.
 *
 *	| guard | stack, which grows down …           root | what the program keeps above |
 *	                                              ^ `depth` bytes below the slot's end
 *
 *	proven	every slot of the class that came back had its root, all at the same depth: slots may be handed out as
 *		they were left, but for the part above the root, which becomes zero, because nobody knows what it is
 *	ended	one had none, or was unmapped in parts: the class is never proven again
 *
 * The contents of a stack at a function's start are undefined, so no program can rely on zeroes there. All threads.
 */
#ifndef COPOOL_STACK_ROOTS_H
#define COPOOL_STACK_ROOTS_H

#include "stack/arena.h"

enum { ROOTS_PROOFS = 1024, ROOTS_ENDED = -1, ROOTS_TOP_BYTES = 4096 };

/*
 * One for each class; all zero: never proven. Not for slots that the program opens itself, whose top may be closed.
 */
struct roots {
	uintptr_t low, high;    /* the code of the roots, without its first byte; set before its first use */
	_Atomic int32_t proofs; /* at most ROOTS_PROOFS; or ROOTS_ENDED */
	_Atomic uint32_t depth; /* at most ROOTS_TOP_BYTES; 0: none was seen yet */
};

/* A slot comes back from the program, which got it zeroed or by roots_clear. The caller must own it. */
void roots_note_return(struct roots *roots, const struct arena_place *place);

/* Zeroes a slot's root and all above it. The class must be proven, and the caller must own the slot. */
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
