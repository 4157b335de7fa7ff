/* SPDX-License-Identifier: MIT */
/*
 * [trust.proofs, trust.handed, trust.base] relaxed everywhere: each word is independent, and a stale one delays what
 * is learned; if two of them do not match, nothing is done.
 */
#include "stack/trust.h"

#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/spent.h"

enum { SLOT_SHIFT = 4, THREAD_SHIFT = 44, THREAD_DROP = 6 };

static const uint64_t WORD_SLOT = ((uint64_t)1 << THREAD_SHIFT) - 1;

static void distrust(struct trust *trust)
{
	atomic_store_explicit(&trust->proofs, TRUST_MIXED, memory_order_relaxed);
}

void trust_learn(struct trust *trust, bool is_proof)
{
	int32_t proofs = atomic_load_explicit(&trust->proofs, memory_order_relaxed);

	if (!is_proof && proofs != TRUST_MIXED)
		distrust(trust);
	else if (proofs >= 0 && proofs < TRUST_PROOFS)
		/* Does not replace what another thread has seen. */
		atomic_compare_exchange_strong_explicit(
		        &trust->proofs, &proofs, proofs + 1, memory_order_relaxed, memory_order_relaxed);
}

/* Removes an old guard of a stack that is in use, if it is still there. */
static bool take_away(const struct arena_place *place)
{
	bool is_old;

	if (!slot_move(place->slot, SLOT_LIVE, SLOT_TREATED))
		return false;
	is_old = place->slot->guard_bytes != 0 && place->slot->is_guard_old;
	if (is_old) {
		arena_unguard(place);
		spent_note(place->class, 1);
	}
	arena_end_treatment(place, SLOT_LIVE);
	return is_old;
}

/* A slot and the thread that got it in one word, with as many bits of the thread as fit. */
static uint64_t word_of(const struct slot *slot, const void *thread)
{
	return (uintptr_t)slot >> SLOT_SHIFT | (uint64_t)((uintptr_t)thread >> THREAD_DROP) << THREAD_SHIFT;
}

/* Whether the last stack that the same thread got has a guard of its own by now, or no old one. */
static bool is_last_well(struct trust *trust, const struct arena *arena, uint64_t last)
{
	const struct slot *slot = (const struct slot *)((last & WORD_SLOT) << SLOT_SHIFT);
	uintptr_t base = atomic_load_explicit(&trust->base, memory_order_relaxed);
	struct arena_place place;

	/* A cheap look; take_away looks again. */
	if (slot_state(slot) != SLOT_LIVE || !slot->is_guard_old || slot->guard_bytes == 0)
		return true;
	if (!arena_find(arena, (void *)base, &place) || place.slot != slot || !take_away(&place))
		return true;
	distrust(trust);
	return false;
}

/* Whether the guard of the last use may stay. */
static bool keeps_guard(struct trust *trust, const struct arena_place *place, const void *thread)
{
	uint64_t last, mine = word_of(place->slot, thread);

	if (atomic_load_explicit(&trust->proofs, memory_order_relaxed) < TRUST_PROOFS)
		return false;
	last = atomic_load_explicit(&trust->handed, memory_order_relaxed);
	if (last == mine)
		return true;
	if (last != 0 && last >> THREAD_SHIFT == mine >> THREAD_SHIFT &&
	        !is_last_well(trust, place->class->arena, last))
		return false;
	atomic_store_explicit(&trust->handed, mine, memory_order_relaxed);
	atomic_store_explicit(&trust->base, place->base, memory_order_relaxed);
	return true;
}

bool trust_hand_out(struct trust *trust, const struct arena_place *place, const void *thread)
{
	if (place->slot->guard_bytes == 0 || trust->is_sure || keeps_guard(trust, place, thread))
		return true;
	spent_note(place->class, 1);
	if (arena_unguard(place) != 0)
		return false;
	if (atomic_load_explicit(&trust->proofs, memory_order_relaxed) != TRUST_MIXED)
		arena_mark(place);
	return true;
}
