/* SPDX-License-Identifier: MIT */
/* Ranges, grain by grain. Those that lie in no leaf are passed over together: a range may be all addresses. */
#include "stack/address.h"

enum { LEAF_MASK = (1 << ARENA_LEAF_SHIFT) - 1 };

static const uintptr_t GRAINS = (uintptr_t)1 << (ARENA_ADDRESS_BITS - ARENA_GRAIN_SHIFT);

/* Where the chunk ends. [chunk.end] relaxed: as chunk.slots in arena_find. */
static uintptr_t end_of(const struct arena_chunk *chunk)
{
	return atomic_load_explicit((_Atomic uintptr_t *)&chunk->end, memory_order_relaxed);
}

/* The first grain from `grain` on that begins in a chunk; `end` if there is none before. */
static uintptr_t next_grain(const struct arena *arena, uintptr_t grain, uintptr_t end)
{
	for (; grain < end && grain < GRAINS; grain++) {
		const struct arena_chunk *chunk = arena_chunk_at(arena, grain << ARENA_GRAIN_SHIFT);

		if (chunk != NULL && grain << ARENA_GRAIN_SHIFT < end_of(chunk))
			return grain;
		/* [arena.leaf] relaxed: a leaf that comes now belongs to a chunk that nobody has anything of. */
		if (atomic_load_explicit(
		            (struct arena_leaf * _Atomic *)&arena->leaf[grain >> ARENA_LEAF_SHIFT],
		            memory_order_relaxed) == NULL)
			grain |= LEAF_MASK;
	}
	return end;
}

bool arena_holds(const struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = low + bytes, grain = low >> ARENA_GRAIN_SHIFT, end;
	const struct arena_chunk *chunk = grain < GRAINS ? arena_chunk_at(arena, low) : NULL;

	if (bytes == 0)
		return false;
	if (chunk != NULL && low < end_of(chunk))
		return true; /* chunks begin with a grain */
	end = ((high - 1) >> ARENA_GRAIN_SHIFT) + 1;
	return next_grain(arena, grain + 1, end) < end;
}

uintptr_t arena_gap_end(const struct arena *arena, uintptr_t low, uintptr_t high)
{
	uintptr_t end = ((high - 1) >> ARENA_GRAIN_SHIFT) + 1;
	uintptr_t next = next_grain(arena, (low >> ARENA_GRAIN_SHIFT) + 1, end);

	return next < end ? next << ARENA_GRAIN_SHIFT : high;
}
