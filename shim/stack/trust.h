/* SPDX-License-Identifier: MIT */
/*
 * Whether the stacks of a class may be handed out with the guard of their last use, which saves two system calls in
 * each life of a stack. Some programs want a guard for some of the stacks of one call only; they would run into the
 * old guard of a stack that should have none.
 *
 *	sure		the program's code always sets the guard up
 *	proven		every stack of the class that came back was given a guard in that use, and nobody had touched
 *			the guard's place before: a mark there was unchanged
 *	mixed		one was not, or was touched: from then on guards are removed before a stack is handed out
 *
 * All threads.
 */
#ifndef COPOOL_STACK_TRUST_H
#define COPOOL_STACK_TRUST_H

#include "stack/arena.h"

enum { TRUST_PROOFS = 1024, TRUST_MIXED = -1 };

/* One for each class; all zero: nothing is proven. */
struct trust {
	bool is_sure;            /* written before its first use */
	_Atomic int32_t proofs;  /* at most TRUST_PROOFS; or TRUST_MIXED */
	_Atomic uint64_t handed; /* the last stack that a thread got with an old guard; see trust_hand_out */
	_Atomic uintptr_t base;  /* its address */
};

/*
 * Hands a stack of the caller's out to the thread that `thread` identifies: removes its guard, unless that may stay.
 * Threads set up a guard before they ask for the next stack. So if the last stack of the same thread still has its
 * old guard, that guard is removed as well, and the class is mixed. False: out of memory maps.
 */
bool trust_hand_out(struct trust *trust, const struct arena_place *place, const void *thread);

/* The slow part of trust_note_return. */
void trust_learn(struct trust *trust, bool is_proof);

/* A stack comes back to its pool. The caller must own it. */
static inline void trust_note_return(struct trust *trust, const struct slot *slot)
{
	bool is_guarded = slot->guard_bytes != 0 && !slot->is_guard_old;

	/* A guarded stack without a mark proves nothing: it was new, or was handed out with its old guard. */
	if (!trust->is_sure && (!is_guarded || slot->is_marked))
		trust_learn(trust, is_guarded && slot->is_proof);
}

#endif
