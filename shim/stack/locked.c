/* SPDX-License-Identifier: MIT */
/* The unused end of each class's last chunk, and all slots. */
#include "stack/locked.h"

#include "libc/real.h"
#include "stack/chunk.h"
#include "stack/lifetime.h"

#include <errno.h>

static void shrink(struct arena_class *class)
{
	/* [class.chunks] relaxed: only the holder of is_growing writes it. */
	uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_relaxed), slots, used;
	struct arena_chunk *chunk;
	uintptr_t old, end;

	if (chunks == 0)
		return;
	chunk = &class->chunk[chunks - 1];
	/*
	 * [chunk.used, chunk.slots, chunk.end] relaxed: a thread that got a number before the exchange has a slot
	 * below the part that is unmapped. A later thread gets none, however old its copy of `slots` is: `used` never
	 * falls below the first number of slots.
	 */
	slots = atomic_load_explicit(&chunk->slots, memory_order_relaxed);
	if (atomic_load_explicit(&chunk->used, memory_order_relaxed) >= slots)
		return;
	used = atomic_exchange_explicit(&chunk->used, slots, memory_order_relaxed);
	if (used >= slots)
		return; /* other threads have taken the last ones */
	old = atomic_load_explicit(&chunk->end, memory_order_relaxed);
	end = chunk->base + used * class->bytes;
	atomic_store_explicit(&chunk->slots, used, memory_order_relaxed);
	atomic_store_explicit(&chunk->end, end, memory_order_relaxed);
	if (real_munmap((void *)end, old - end) == 0)
		atomic_fetch_sub_explicit(&class->arena->reserved, old - end, memory_order_relaxed);
}

/* A class that is just growing is left alone. */
static void each_class(struct arena *arena, void (*change)(struct arena_class *class))
{
	int saved = errno;

	for (unsigned i = 0; i < POOL_MAX; i++) {
		struct arena_class *class = &arena->class[i];

		/* [class.is_growing] acquire, release: as in chunk_take_slot. */
		if (atomic_flag_test_and_set_explicit(&class->is_growing, memory_order_acquire))
			continue;
		change(class);
		atomic_flag_clear_explicit(&class->is_growing, memory_order_release);
	}
	errno = saved;
}

void arena_shrink(struct arena *arena)
{
	each_class(arena, shrink);
}

/* Closes a slot that waits. False: it does not. */
static bool close_waiting(const struct arena_place *place, enum slot_state waiting)
{
	if (!slot_move(place->slot, waiting, SLOT_BUSY))
		return false;
	arena_close(place);
	arena_let_go(place, waiting);
	return true;
}

/*
 * Ends what vacate_waiting began. Whoever wanted to have the slot in the meantime, or waited for it too long
 * (stack/orphans.h), has left it alone.
 */
static void leave(struct slot *slot)
{
	if (!slot_move(slot, SLOT_BUSY, SLOT_VACANT) && !slot_move(slot, SLOT_STRAY, SLOT_VACANT))
		slot_move(slot, SLOT_GONE, SLOT_VACANT);
}

/* Unmaps a slot that waits. Whoever still has it in a list finds it vacant. */
static bool vacate_waiting(const struct arena_place *place, enum slot_state waiting)
{
	struct arena *arena = place->class->arena;

	if (!slot_move(place->slot, waiting, SLOT_BUSY))
		return false;
	/* There may be no memory map for the two parts of a mapping. */
	if (real_munmap((void *)place->base, place->class->bytes) != 0) {
		arena_let_go(place, waiting);
		return true;
	}
	arena_forget(place);
	/* [arena.reserved] relaxed: an estimate. */
	atomic_fetch_sub_explicit(&arena->reserved, place->class->bytes, memory_order_relaxed);
	leave(place->slot);
	return true;
}

static void vacate(const struct arena_place *place)
{
	if (!vacate_waiting(place, SLOT_FREE))
		vacate_waiting(place, SLOT_IDLE);
}

static void start_over(const struct arena_place *place)
{
	if (!close_waiting(place, SLOT_FREE) && !close_waiting(place, SLOT_IDLE))
		arena_retire(place);
}

static void each_slot(struct arena *arena, void (*visit)(const struct arena_place *place))
{
	int saved = errno;

	for (unsigned i = 0; i < POOL_MAX; i++) {
		struct arena_class *class = &arena->class[i];
		/* [class.chunks] acquire: the chunks' fields; pairs with add_chunk. */
		uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_acquire);

		for (uint32_t j = 0; j < chunks; j++)
			chunk_each_slot(&class->chunk[j], visit);
	}
	errno = saved;
}

void arena_start_over(struct arena *arena)
{
	each_slot(arena, start_over);
}

/* Whether nothing of a chunk will be used again. */
static bool is_over(struct arena_chunk *chunk)
{
	/* [chunk.slots, chunk.used] relaxed: as in chunk_each_slot; no slot comes into use after shrink(). */
	uint32_t slots = atomic_load_explicit(&chunk->slots, memory_order_relaxed);
	uint32_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);

	for (uint32_t i = 0; i < slots; i++) {
		enum slot_state state = i < used ? slot_state(&chunk->slot[i]) : SLOT_FREE;

		if (state != SLOT_VACANT && state != SLOT_GONE)
			return false;
	}
	return true;
}

/*
 * Gives up the addresses of chunks that are over: they are others', and may become another chunk's. A pool may still
 * have such an address: see is_own() in adapter/classes.c.
 */
static void give_up_chunks(struct arena_class *class)
{
	/* [class.chunks] relaxed: only the holder of is_growing writes it. */
	uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_relaxed);

	for (uint32_t i = 0; i < chunks; i++) {
		struct arena_chunk *chunk = &class->chunk[i];

		if (!is_over(chunk))
			continue;
		/* [chunk.slots, chunk.end] relaxed: a thread that sees the old ones finds no slot that it can take. */
		atomic_store_explicit(&chunk->slots, 0, memory_order_relaxed);
		atomic_store_explicit(&chunk->end, chunk->base, memory_order_relaxed);
	}
}

void arena_vacate(struct arena *arena)
{
	each_class(arena, shrink);
	each_slot(arena, vacate);
	each_class(arena, give_up_chunks);
}

/* [arena.reserved] relaxed: an estimate. */
uint64_t arena_reserved(const struct arena *arena)
{
	return atomic_load_explicit((_Atomic uint64_t *)&arena->reserved, memory_order_relaxed);
}

bool arena_exceeds(const struct arena *arena, uint64_t bytes)
{
	return arena_reserved(arena) > bytes / CHUNK_LIMIT_SHARE;
}
