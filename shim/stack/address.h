/* SPDX-License-Identifier: MIT */
/*
 * Which slot of the arena an address lies in. The table has two levels, leaves and grains. A leaf is set once; a grain
 * may become another chunk's only after nothing of the first is left (stack/locked.h), so that a look-up needs no
 * lock: whoever has found a slot of the first finds it vacant. All threads.
 */
#ifndef COPOOL_STACK_ADDRESS_H
#define COPOOL_STACK_ADDRESS_H

#include "stack/arena.h"

/* Whether a byte of the range is in a chunk. The caller must have asked arena_is_near. */
bool arena_holds(const struct arena *arena, const void *address, size_t bytes);

/* The end of the part of a range that begins in no slot: the next grain that begins in a chunk, or the range's end. */
uintptr_t arena_gap_end(const struct arena *arena, uintptr_t low, uintptr_t high);

/* Whether the range reaches between the arena's lowest and highest byte. One comparison for most ranges. */
static inline bool arena_is_near(const struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = low + bytes;

	/* [arena.low, arena.high] relaxed: see widen. */
	return high > atomic_load_explicit((_Atomic uintptr_t *)&arena->low, memory_order_relaxed) &&
	       low < atomic_load_explicit((_Atomic uintptr_t *)&arena->high, memory_order_relaxed) &&
	       high >= low;
}

/* Whether a byte of the range is in a chunk. */
static inline bool arena_touches(const struct arena *arena, const void *address, size_t bytes)
{
	return arena_is_near(arena, address, bytes) && arena_holds(arena, address, bytes);
}

/* The chunk of the grain that an address lies in, or NULL. */
static inline struct arena_chunk *arena_chunk_at(const struct arena *arena, uintptr_t at)
{
	struct arena_leaf *const _Atomic *place = &arena->leaf[at >> (ARENA_GRAIN_SHIFT + ARENA_LEAF_SHIFT)];
	unsigned grain = at >> ARENA_GRAIN_SHIFT & ((1 << ARENA_LEAF_SHIFT) - 1);
	/* [arena.leaf] acquire: its zeroes; pairs with set_chunk. */
	struct arena_leaf *leaf =
	        atomic_load_explicit((struct arena_leaf * _Atomic *)place, memory_order_acquire);

	/* [leaf.chunk] acquire: the chunk's fields; pairs with set_chunk. */
	return leaf != NULL ? atomic_load_explicit(&leaf->chunk[grain], memory_order_acquire) : NULL;
}

/* Finds the slot that an address lies in. False: the address is in no slot. */
static inline bool arena_find(const struct arena *arena, const void *address, struct arena_place *place)
{
	uintptr_t at = (uintptr_t)address;
	const struct arena_chunk *chunk;
	uint64_t slot;

	if (at >> ARENA_ADDRESS_BITS != 0)
		return false;
	chunk = arena_chunk_at(arena, at);
	if (chunk == NULL)
		return false;
	/* A division by `bytes`, exact as long as offset * bytes < 2^64 (Granlund and Montgomery, 1994). */
	slot = (unsigned __int128)(at - chunk->base) * chunk->reciprocal >> 64;
	/* [chunk.slots] relaxed: slots above a lowered limit were never handed out. */
	if (slot >= atomic_load_explicit((_Atomic uint32_t *)&chunk->slots, memory_order_relaxed))
		return false; /* the rest at the chunk's end */
	place->class = chunk->class;
	place->slot = &chunk->slot[slot];
	place->base = chunk->base + slot * chunk->bytes;
	place->offset = at - place->base;
	return true;
}

#endif
