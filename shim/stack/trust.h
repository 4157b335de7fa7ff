/*
 * Whether the stacks of a class may be handed out with the guard of their last use, which saves its program two
 * system calls in each life. Some programs want a guard for some of their stacks only, from one and the same call.
 * Who uses a stack without one would run into a guard that nobody asked for.
 *
 *	sure		whoever asks sets the guard up each time: their code cannot do otherwise
 *	proven		so far all stacks of the class that came back had been given one in that use
 *	mixed		one had not: from then on guards are taken away first, for good
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
	_Atomic uint64_t handed; /* the last that a thread got with an old guard; see trust_keeps_guard */
};

/*
 * Whether the guard may stay on a stack that is handed out to the thread that `thread` stands for. When the one before
 * that the same thread got was not given its own since, it is taken away from that one, and the class is mixed: threads
 * set guards up before they ask for another stack.
 */
bool trust_keeps_guard(struct trust *trust, const struct arena_place *place, const void *thread);

/* The rest of trust_note_return, where it changes what is known. */
void trust_learn(struct trust *trust, bool is_guarded);

/* A stack comes back to its pool; the caller owns it. */
static inline void trust_note_return(struct trust *trust, const struct slot *slot)
{
	bool is_guarded = slot->guard_bytes != 0 && !slot->is_guard_old;

	/* [trust.proofs] relaxed: see stack/trust.c. */
	if (!trust->is_sure && atomic_load_explicit(&trust->proofs, memory_order_relaxed) !=
	                               (is_guarded ? TRUST_PROOFS : TRUST_MIXED))
		trust_learn(trust, is_guarded);
}

#endif
