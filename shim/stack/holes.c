/* SPDX-License-Identifier: MIT */
/* One word of a table may hold pages of two slots, and have two writers. */
#include "stack/holes.h"

#include "libc/real.h"
#include "stack/address.h"

enum { WORD_BITS = 64 };

/* The table of a chunk, made if `is_wanted`. NULL: there is none. */
static _Atomic uint64_t *table_of(const struct arena_place *place, bool is_wanted)
{
	const struct arena *arena = place->class->arena;
	struct arena_chunk *chunk = arena_chunk_at(arena, place->base);
	/* [chunk.holes] acquire: the table's zeroes; pairs with the exchange below. */
	_Atomic uint64_t *found = atomic_load_explicit(&chunk->holes, memory_order_acquire), *made;
	size_t bytes;

	if (found != NULL || !is_wanted)
		return found;
	/* [chunk.slots] relaxed: their number only falls. */
	bytes = atomic_load_explicit(&chunk->slots, memory_order_relaxed) * chunk->bytes;
	bytes = (bytes / arena->page_bytes / WORD_BITS + 1) * sizeof *made;
	made = real_table(bytes);
	if (made == NULL)
		return NULL;
	/* [chunk.holes] acq_rel: publishes the zeroes, or sees those of another thread's table. */
	if (atomic_compare_exchange_strong_explicit(
	            &chunk->holes, &found, made, memory_order_acq_rel, memory_order_acquire))
		return made;
	real_table_free(made, bytes);
	return found;
}

/* The number of a page in its chunk. */
static size_t page_of(const struct arena_place *place, uintptr_t at)
{
	const struct arena *arena = place->class->arena;

	return (at - arena_chunk_at(arena, place->base)->base) / arena->page_bytes;
}

static uint64_t bit_of(size_t page)
{
	return (uint64_t)1 << page % WORD_BITS;
}

static bool is_hole_at(_Atomic uint64_t *table, size_t page)
{
	/* [holes] relaxed: as in holes_add. */
	return (atomic_load_explicit(&table[page / WORD_BITS], memory_order_relaxed) & bit_of(page)) != 0;
}

bool holes_add(const struct arena_place *place, uintptr_t low, size_t bytes)
{
	_Atomic uint64_t *table = table_of(place, true);
	size_t page, end;

	if (table == NULL)
		return false;
	end = page_of(place, low + bytes);
	/* [holes] relaxed: the slot's holder publishes them with the slot's state. */
	for (page = page_of(place, low); page < end; page++)
		atomic_fetch_or_explicit(&table[page / WORD_BITS], bit_of(page), memory_order_relaxed);
	return true;
}

void holes_fill(const struct arena_place *place, uintptr_t low, size_t bytes)
{
	_Atomic uint64_t *table = table_of(place, false);
	size_t page, end;

	if (table == NULL)
		return;
	end = page_of(place, low + bytes);
	/* [holes] relaxed: as in holes_add. */
	for (page = page_of(place, low); page < end; page++) {
		if (is_hole_at(table, page))
			atomic_fetch_and_explicit(
			        &table[page / WORD_BITS], ~bit_of(page), memory_order_relaxed);
	}
}

size_t holes_run(const struct arena_place *place, uintptr_t low, size_t bytes, bool *is_hole)
{
	_Atomic uint64_t *table = table_of(place, false);
	size_t page, first, end;

	*is_hole = false;
	if (table == NULL)
		return bytes;
	page = first = page_of(place, low);
	end = page_of(place, low + bytes - 1) + 1;
	*is_hole = is_hole_at(table, first);
	while (page < end && is_hole_at(table, page) == *is_hole)
		page++;
	return page < end ? (page - first) * place->class->arena->page_bytes : bytes;
}

bool holes_are_all(const struct arena_place *place)
{
	bool is_hole;

	return holes_run(place, place->base, place->class->bytes, &is_hole) == place->class->bytes && is_hole;
}
