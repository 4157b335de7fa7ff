/* SPDX-License-Identifier: MIT */
/* Only the holder of a slot changes its holes: see stack/holes.h. */
#include "adapter/pieces.h"

#include "stack/address.h"
#include "stack/holes.h"
#include "stack/lifetime.h"
#include "stack/orphans.h"

int piece_retire(const struct arena_place *place)
{
	enum slot_state state = slot_state(place->slot);
	int error = 0;

	for (; error == 0 && (state == SLOT_LIVE || state == SLOT_TREATED); state = slot_state(place->slot)) {
		if (state == SLOT_LIVE)
			error = arena_retire(place);
		else
			arena_await(place);
	}
	return error;
}

bool piece_hold(const struct arena_place *place, enum slot_state *was)
{
	for (;;) {
		*was = slot_state(place->slot);
		if (*was == SLOT_TREATED)
			arena_await(place);
		else if (*was != SLOT_RETIRED && *was != SLOT_LOST)
			return false;
		else if (slot_move(place->slot, *was, SLOT_TREATED))
			return true;
	}
}

void piece_let_go(const struct arena_place *place, enum slot_state was)
{
	if (!holes_are_all(place)) {
		arena_end_treatment(place, was);
	} else if (was == SLOT_LOST) {
		arena_end_treatment(place, SLOT_GONE);
	} else if (slot_move(place->slot, SLOT_TREATED, SLOT_LEAVING)) {
		arena_note_end(place);
		arena_free(place);
	}
}

struct piece piece_at(const struct arena *arena, uintptr_t low, uintptr_t high)
{
	struct piece piece = {.low = low};
	uintptr_t end;

	piece.is_slot = arena_find(arena, (void *)low, &piece.place);
	end = piece.is_slot ? piece.place.base + piece.place.class->bytes : arena_gap_end(arena, low, high);
	if (piece.is_slot && slot_state(piece.place.slot) == SLOT_VACANT)
		piece.is_slot = false;
	piece.bytes = (end < high ? end : high) - low;
	if (piece.is_slot)
		piece.bytes = holes_run(&piece.place, low, piece.bytes, &piece.is_hole);
	return piece;
}

bool piece_is_mapped(const struct piece *piece)
{
	enum slot_state state = piece->is_slot ? slot_state(piece->place.slot) : SLOT_FREE;

	return !piece->is_hole &&
	       (state == SLOT_LIVE || state == SLOT_RETIRED || state == SLOT_LOST || state == SLOT_TREATED);
}

bool piece_is_whole(const struct piece *piece)
{
	return piece->low == piece->place.base && piece->bytes == piece->place.class->bytes;
}

uintptr_t piece_end(const struct arena *arena, const void *address, size_t bytes)
{
	return (uintptr_t)address + ((bytes + arena->page_bytes - 1) & ~(arena->page_bytes - 1));
}

bool piece_is_range(const struct arena *arena, const void *address, size_t bytes)
{
	uint64_t all = (uint64_t)1 << ARENA_ADDRESS_BITS;

	return (uintptr_t)address % arena->page_bytes == 0 && bytes != 0 && bytes <= all &&
	       (uintptr_t)address <= all - bytes;
}
