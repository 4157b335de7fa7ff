/* SPDX-License-Identifier: MIT */
/* Ranges, grain by grain. */
#include "stack/address.h"

bool arena_holds(const struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = low + bytes;
	const struct arena_chunk *chunk;

	if (high > (uintptr_t)1 << ARENA_ADDRESS_BITS)
		high = (uintptr_t)1 << ARENA_ADDRESS_BITS;
	for (uintptr_t grain = low >> ARENA_GRAIN_SHIFT; grain <= (high - 1) >> ARENA_GRAIN_SHIFT; grain++) {
		chunk = arena_chunk_at(arena, grain << ARENA_GRAIN_SHIFT);
		/* [chunk.end] relaxed: as chunk.slots in arena_find. */
		if (chunk != NULL && high > chunk->base &&
		        low < atomic_load_explicit(&chunk->end, memory_order_relaxed))
			return true;
	}
	return false;
}
