/* SPDX-License-Identifier: MIT */
/*
 * Ranges of a program's, cut into pieces: each lies in one slot, or outside of the arena. Of a slot that is the
 * program's, a piece is either there or has been unmapped.
 *
 * All threads. errno survives.
 */
#ifndef COPOOL_ADAPTER_PIECES_H
#define COPOOL_ADAPTER_PIECES_H

#include "stack/arena.h"

struct piece {
	uintptr_t low;
	size_t bytes;
	bool is_slot; /* in one slot, `place`; else outside of the arena */
	bool is_hole; /* the program has unmapped it */
	struct arena_place place;
};

/* The piece that begins at `low`, of a range that ends at `high`. */
struct piece piece_at(const struct arena *arena, uintptr_t low, uintptr_t high);

/* Whether it is in the program's hands; whether it is all of its slot. */
bool piece_is_mapped(const struct piece *piece);
bool piece_is_whole(const struct piece *piece);

/* Where a range ends, in whole pages. */
uintptr_t piece_end(const struct arena *arena, const void *address, size_t bytes);

/* Whether the kernel would look at such a range at all; what it says of others it shall say itself. */
bool piece_is_range(const struct arena *arena, const void *address, size_t bytes);

/* As arena_retire, but sure: also where another thread is just doing something to the slot. */
int piece_retire(const struct arena_place *place);

/*
 * Takes a slot that is retired or lost for a change, SLOT_TREATED, and says which; false: it is neither any more.
 * Then ends that: a slot of which nothing is left is the arena's again, or gone.
 */
bool piece_hold(const struct arena_place *place, enum slot_state *was);
void piece_let_go(const struct arena_place *place, enum slot_state was);

#endif
