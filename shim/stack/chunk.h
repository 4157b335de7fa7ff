/* SPDX-License-Identifier: MIT */
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

#endif
