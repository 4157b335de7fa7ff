/* SPDX-License-Identifier: MIT */
/*
 * Ranges of the program's, cut into pieces: each lies in one slot, or outside the arena. A piece of a slot in the
 * program's hands is either mapped or a hole.
 *
 * All threads. errno survives.
 */
#ifndef COPOOL_ADAPTER_PIECES_H
#define COPOOL_ADAPTER_PIECES_H

#include "stack/arena.h"

struct piece {
	uintptr_t low;
	size_t bytes;
	bool is_slot; /* in one slot, `place`; otherwise outside the arena */
	bool is_hole; /* the program has unmapped this piece */
	struct arena_place place;
};

/* The piece at `low`, of a range that ends at `high`. */
struct piece piece_at(const struct arena *arena, uintptr_t low, uintptr_t high);

/* Whether the piece is in the program's hands, and mapped; whether it is all of its slot. */
bool piece_is_mapped(const struct piece *piece);
bool piece_is_whole(const struct piece *piece);

/* The end of a range, in whole pages. */
uintptr_t piece_end(const struct arena *arena, const void *address, size_t bytes);

/* Whether the range is valid for the kernel. For others the kernel itself must say what is wrong. */
bool piece_is_range(const struct arena *arena, const void *address, size_t bytes);

/* As arena_retire, but waits for another thread that is changing the slot. 0 or -errno. */
int piece_retire(const struct arena_place *place);

/*
 * Holds a retired or lost slot, SLOT_TREATED, and sets `was` to its state. False: it is neither any more.
 * piece_let_go ends that: if all of the slot is a hole, the slot is the arena's again, or gone.
 */
bool piece_hold(const struct arena_place *place, enum slot_state *was);
void piece_let_go(const struct arena_place *place, enum slot_state was);

#endif
