/* SPDX-License-Identifier: MIT */
/*
 * Where the slots of an arena come from: chunks that are reserved on demand, and slots that were given back. The ids
 * of a class count from 1 over all of its chunks; 0 is none. All threads; nothing here waits.
 */
#ifndef COPOOL_STACK_CHUNK_H
#define COPOOL_STACK_CHUNK_H

#include "stack/arena.h"

enum { CHUNK_LIMIT_SHARE = 8 }; /* all chunks together take at most this part of the limit on address space */

/* Takes a free slot or a new one. 0: there is none, or another thread is just reserving a chunk. */
uint32_t chunk_take_slot(struct arena_class *class);

/* Gives a slot back to chunk_take_slot. */
void chunk_put_slot(struct arena_class *class, uint32_t id);

/* The slot of an id, and its address. */
struct slot *chunk_slot(struct arena_class *class, uint32_t id);
void *chunk_base(struct arena_class *class, uint32_t id);

/* The id of a slot of a chunk. */
uint32_t chunk_id(const struct arena_chunk *chunk, const struct slot *slot);

/* Visits the slots of a chunk that were ever handed out. */
void chunk_each_slot(struct arena_chunk *chunk, void (*visit)(const struct arena_place *place));

#endif
