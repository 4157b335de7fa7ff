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

void arena_shrink(struct arena *arena)
{
	int saved = errno;

	for (unsigned i = 0; i < POOL_MAX; i++) {
		struct arena_class *class = &arena->class[i];

		/*
		 * [class.is_growing] acquire, release: as in chunk_take_slot; a class that is just growing is left
		 * alone.
		 */
		if (atomic_flag_test_and_set_explicit(&class->is_growing, memory_order_acquire))
			continue;
		shrink(class);
		atomic_flag_clear_explicit(&class->is_growing, memory_order_release);
	}
	errno = saved;
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

static void start_over(const struct arena_place *place)
{
	if (!close_waiting(place, SLOT_FREE) && !close_waiting(place, SLOT_IDLE))
		arena_retire(place);
}

void arena_start_over(struct arena *arena)
{
	int saved = errno;

	for (unsigned i = 0; i < POOL_MAX; i++) {
		struct arena_class *class = &arena->class[i];
		/* [class.chunks] acquire: the chunks' fields; pairs with add_chunk. */
		uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_acquire);

		for (uint32_t j = 0; j < chunks; j++)
			chunk_each_slot(&class->chunk[j], start_over);
	}
	errno = saved;
}
