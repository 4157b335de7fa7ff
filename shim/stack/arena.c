/* SPDX-License-Identifier: MIT */
/* The arena itself. Its chunks are in chunk.c, the life of its slots in lifetime.c. */
#include "stack/arena.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

void arena_init(struct arena *arena, enum guard_means means)
{
	arena->page_bytes = sysconf(_SC_PAGESIZE);
	arena->means = guard_probe(means, &arena->can_drop);
	/* [arena.low, arena.no_huge] relaxed: nobody looks yet. */
	atomic_store_explicit(&arena->low, UINTPTR_MAX, memory_order_relaxed);
	atomic_store_explicit(&arena->no_huge, ARENA_NOT_ADVISED, memory_order_relaxed);
}

void arena_note_no_huge(struct arena *arena, int error)
{
	int known = ARENA_NOT_ADVISED;

	/* [arena.no_huge] relaxed: [class.chunks] or [slot.state] orders it when the memory is handed out. */
	if (!atomic_compare_exchange_strong_explicit(
	            &arena->no_huge, &known, error, memory_order_relaxed, memory_order_relaxed) &&
	        known != error)
		atomic_store_explicit(&arena->no_huge, ARENA_ASK, memory_order_relaxed);
}

struct arena_class *arena_class_start(struct arena *arena, unsigned index, size_t bytes, int protection)
{
	struct arena_class *class = &arena->class[index];

	class->bytes = bytes;
	class->is_reserved = protection == PROT_NONE;
	class->protection = class->is_reserved ? PROT_READ | PROT_WRITE : protection;
	class->arena = arena;
	return class;
}

bool arena_is_refused(const struct arena *arena)
{
	/* [arena.is_refused] relaxed: a statistic. */
	return atomic_load_explicit((_Atomic bool *)&arena->is_refused, memory_order_relaxed);
}
