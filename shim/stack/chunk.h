/*
 * Where an arena's slots come from: chunks that are reserved on demand, and slots that were given back. A
 * slot's id counts from 1 over all chunks of its class; 0 is none. All threads; nothing here waits.
 */
#ifndef COPOOL_STACK_CHUNK_H
#define COPOOL_STACK_CHUNK_H

#include "stack/arena.h"

/* A slot that was given back, or a new one; 0 when there is none to be had, or another thread reserves a
 * chunk. */
uint32_t chunk_take_slot(struct arena_class *class);

/* Gives a slot back, for chunk_take_slot. */
void chunk_put_slot(struct arena_class *class, uint32_t id);

/* What belongs to an id. */
struct slot *chunk_slot(struct arena_class *class, uint32_t id);
void *chunk_base(struct arena_class *class, uint32_t id);

/* The id of a slot of a chunk. */
uint32_t chunk_id(const struct arena_chunk *chunk, const struct slot *slot);

/* The chunk in whose grains an address lies, or NULL. */
static inline struct arena_chunk *chunk_at(const struct arena *arena, uintptr_t at)
{
	struct arena_leaf *const _Atomic *place = &arena->leaf[at >> (ARENA_GRAIN_SHIFT + ARENA_LEAF_SHIFT)];
	unsigned grain = at >> ARENA_GRAIN_SHIFT & ((1 << ARENA_LEAF_SHIFT) - 1);
	/* [arena.leaf] acquire: its zeroes; pairs with set_chunk. */
	struct arena_leaf *leaf =
	        atomic_load_explicit((struct arena_leaf * _Atomic *)place, memory_order_acquire);

	/* [leaf.chunk] acquire: the chunk's fields; pairs with set_chunk. */
	return leaf != NULL ? atomic_load_explicit(&leaf->chunk[grain], memory_order_acquire) : NULL;
}

#endif
