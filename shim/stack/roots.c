/* SPDX-License-Identifier: MIT */
/* Words at the top of a stack that the program has just given back. */
#include "stack/roots.h"

#include "system/return_address.h"

#include <string.h>

static bool is_root(const struct roots *roots, uintptr_t at)
{
	uintptr_t word = return_address(*(const volatile uintptr_t *)at);

	return word > roots->low && word < roots->high;
}

/* The distance from the end to the highest word that may be a root. 0: there is none near the end. */
static uint32_t find_depth(const struct roots *roots, uintptr_t end)
{
	for (uint32_t depth = sizeof(uintptr_t); depth <= ROOTS_TOP_BYTES; depth += sizeof(uintptr_t)) {
		if (is_root(roots, end - depth))
			return depth;
	}
	return 0;
}

/* Whether the slot has its root where earlier slots had theirs. The first one decides where that is. */
static bool has_root(struct roots *roots, uintptr_t end)
{
	/* [roots.depth] relaxed: set once; a thread that relies on the proofs sees it by [roots.proofs]. */
	uint32_t depth = atomic_load_explicit(&roots->depth, memory_order_relaxed), found;

	if (depth != 0)
		return is_root(roots, end - depth);
	found = find_depth(roots, end);
	/* [roots.depth] relaxed: as above. */
	return found != 0 && (atomic_compare_exchange_strong_explicit(&roots->depth, &depth, found,
	                              memory_order_relaxed, memory_order_relaxed) ||
	                             depth == found);
}

void roots_end(struct roots *roots)
{
	/*
	 * [roots.proofs] relaxed: publishes nothing; a thread that sees it late hands out one more slot as it was
	 * left.
	 */
	atomic_store_explicit(&roots->proofs, ROOTS_ENDED, memory_order_relaxed);
}

void roots_note_return(struct roots *roots, const struct arena_place *place)
{
	size_t bytes = place->class->bytes;
	/* [roots.proofs] relaxed: a count. */
	int32_t proofs = atomic_load_explicit(&roots->proofs, memory_order_relaxed);

	if (roots->high == 0 || proofs == ROOTS_ENDED)
		return;
	if (!place->slot->is_open || place->slot->is_sealed ||
	        bytes < ROOTS_TOP_BYTES + place->slot->guard_bytes || !has_root(roots, place->base + bytes))
		roots_end(roots);
	else if (proofs < ROOTS_PROOFS)
		/*
		 * [roots.proofs] release: the depth; pairs with roots_are_proven. Does not replace what another
		 * thread has seen.
		 */
		atomic_compare_exchange_strong_explicit(
		        &roots->proofs, &proofs, proofs + 1, memory_order_release, memory_order_relaxed);
}

void roots_clear(const struct roots *roots, const struct arena_place *place)
{
	/* [roots.depth] relaxed: as in has_root. */
	uint32_t depth = atomic_load_explicit((_Atomic uint32_t *)&roots->depth, memory_order_relaxed);

	memset((void *)(place->base + place->class->bytes - depth), 0, depth);
}
