/* SPDX-License-Identifier: MIT */
/*
 * Whether the stacks of a class may be handed out with the guard of their last use, which saves its program two
 * system calls in each life. Some programs want a guard for some of their stacks only, from one and the same call.
 * Who uses a stack without one would run into a guard that nobody asked for.
 *
 *	sure		whoever asks sets the guard up each time: their code cannot do otherwise
 *	proven		so far all stacks of the class that came back had been given one in that use, and nobody had
 *			touched its place before: a word that was left there was still there
 *	mixed		one had not, or somebody had: from then on guards are taken away first, for good
 *
 * All threads.
 */
#ifndef COPOOL_STACK_TRUST_H
#define COPOOL_STACK_TRUST_H

#include "stack/arena.h"

enum { TRUST_PROOFS = 1024, TRUST_MIXED = -1 };

/* A class's; all zero: nothing is proven. */
struct trust {
	bool is_sure;            /* written before its first use */
	_Atomic int32_t proofs;  /* up to TRUST_PROOFS; or TRUST_MIXED */
	_Atomic uint64_t handed; /* the last that a thread got with an old guard; see trust_hand_out */
	_Atomic uintptr_t base;  /* where that is */
};

/*
 * A stack, in the caller's hands, is handed out to the thread that `thread` stands for: takes its guard away, unless that
 * may stay. Where the one before that the same thread got was not given its own since, it is taken away from that one as
 * well, and the class is mixed: threads set guards up before they ask for another stack. False: out of maps.
 */
bool trust_hand_out(struct trust *trust, const struct arena_place *place, const void *thread);

/* The rest of trust_note_return, where it changes what is known. */
void trust_learn(struct trust *trust, bool is_proof);

/* A stack comes back to its pool; the caller owns it. */
static inline void trust_note_return(struct trust *trust, const struct slot *slot)
{
	bool is_guarded = slot->guard_bytes != 0 && !slot->is_guard_old;

	/* One that was handed out for the first time, or with a guard that it has been given since, says nothing. */
	if (!trust->is_sure && (!is_guarded || slot->is_marked))
		trust_learn(trust, is_guarded && slot->is_proof);
}

#endif
