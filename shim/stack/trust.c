/* [trust.proofs, trust.handed] relaxed everywhere: each word stands for itself; a stale one delays what is learned. */
#include "stack/trust.h"

enum { PAGE_SHIFT = 12, THREAD_SHIFT = 36 };

static void distrust(struct trust *trust)
{
	atomic_store_explicit(&trust->proofs, TRUST_MIXED, memory_order_relaxed);
}

void trust_learn(struct trust *trust, bool is_guarded)
{
	int32_t proofs = atomic_load_explicit(&trust->proofs, memory_order_relaxed);

	if (!is_guarded)
		distrust(trust);
	else if (proofs >= 0 && proofs < TRUST_PROOFS)
		/* Not over what another thread has seen meanwhile. */
		atomic_compare_exchange_strong_explicit(
		        &trust->proofs, &proofs, proofs + 1, memory_order_relaxed, memory_order_relaxed);
}

/* Takes an old guard away from a stack that is in use, if it is still there. */
static bool take_away(const struct arena_place *place)
{
	bool is_old;

	if (!slot_move(place->slot, SLOT_LIVE, SLOT_TREATED))
		return false;
	is_old = place->slot->guard_bytes != 0 && place->slot->is_guard_old;
	if (is_old)
		arena_unguard(place);
	arena_end_treatment(place, SLOT_LIVE);
	return is_old;
}

/* A stack and who got it, in one word: the number of its page, and of the thread as much as there is room for. */
static uint64_t word_of(uintptr_t base, const void *thread)
{
	return base >> PAGE_SHIFT | (uint64_t)((uintptr_t)thread >> 6) << THREAD_SHIFT;
}

/* Whether the last one that the same thread got has its own guard by now, or none that is old. */
static bool is_last_well(struct trust *trust, const struct arena *arena, uint64_t last)
{
	struct arena_place place;
	uintptr_t base = (last & (((uint64_t)1 << THREAD_SHIFT) - 1)) << PAGE_SHIFT;

	if (!arena_find(arena, (void *)base, &place))
		return true;
	/* A look that costs little; take_away looks again. */
	if (slot_state(place.slot) != SLOT_LIVE || !place.slot->is_guard_old ||
	        place.slot->guard_bytes == 0 || !take_away(&place))
		return true;
	distrust(trust);
	return false;
}

bool trust_keeps_guard(struct trust *trust, const struct arena_place *place, const void *thread)
{
	uint64_t last, mine = word_of(place->base, thread);

	if (trust->is_sure)
		return true;
	if (atomic_load_explicit(&trust->proofs, memory_order_relaxed) < TRUST_PROOFS)
		return false;
	last = atomic_load_explicit(&trust->handed, memory_order_relaxed);
	atomic_store_explicit(&trust->handed, mine, memory_order_relaxed);
	return last == mine || last >> THREAD_SHIFT != mine >> THREAD_SHIFT ||
	       is_last_well(trust, place->class->arena, last);
}
