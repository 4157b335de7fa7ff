/* SPDX-License-Identifier: MIT */
/* A place in the arena becomes the program's before something is mapped there, and is given back if that fails. */
#include "adapter/placing.h"

#include "adapter/pieces.h"
#include "libc/real.h"
#include "stack/holes.h"
#include "stack/lifetime.h"
#include "stack/orphans.h"

#include <errno.h>
#include <sys/mman.h>

/* Gives a slot that is not the program's to the program, with this piece and nothing else. */
static bool lose(const struct piece *piece, enum slot_state state)
{
	const struct arena_place *place = &piece->place;

	if (!slot_move(place->slot, state, SLOT_BUSY))
		return false;
	slot_doom(place->slot, SLOT_SPENT);
	if (holes_add(place, place->base, place->class->bytes))
		holes_fill(place, piece->low, piece->bytes);
	/* Any pool or thread that wanted to use the slot finds it lost. */
	slot_settle(place->slot, SLOT_LOST);
	return true;
}

/* Fills a piece of a slot that was the program's already. False: something is there, and may not be replaced. */
static bool fill(const struct piece *piece, bool may_replace)
{
	enum slot_state was;
	size_t alike;
	bool is_hole;

	if (!piece_hold(&piece->place, &was))
		return false;
	alike = holes_run(&piece->place, piece->low, piece->bytes, &is_hole);
	may_replace |= is_hole && alike == piece->bytes;
	if (may_replace)
		holes_fill(&piece->place, piece->low, piece->bytes);
	arena_end_treatment(&piece->place, was);
	return may_replace;
}

/* Gives a piece of a slot to the program, for a new mapping. False: something is there, and may not be replaced. */
static bool claim(const struct piece *piece, bool may_replace)
{
	const struct arena_place *place = &piece->place;

	for (;;) {
		enum slot_state state = arena_await(place);

		if (state == SLOT_VACANT)
			return may_replace || placing_plug(piece);
		if (state == SLOT_LIVE && !may_replace)
			return false;
		if (state == SLOT_LIVE) {
			if (piece_retire(place) != 0)
				slot_move(place->slot, SLOT_LIVE, SLOT_RETIRED);
		} else if (state == SLOT_RETIRED || state == SLOT_LOST) {
			if (fill(piece, may_replace))
				return true;
			if (!may_replace)
				return false;
		} else if (lose(piece, state)) {
			return true;
		}
	}
}

/* Outside of slots the kernel knows whether there is room. */
bool placing_plug(const struct piece *piece)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *mapped = real_mmap((void *)piece->low, piece->bytes, PROT_NONE, flags, -1, 0);

	if (mapped == (void *)piece->low)
		return true;
	if (mapped != MAP_FAILED)
		real_munmap(mapped, piece->bytes); /* before Linux 4.17 the flag has no effect */
	return false;
}

/* Gives back what was claimed in free places. */
static void give_back(const struct arena *arena, uintptr_t low, uintptr_t high)
{
	enum slot_state was;
	int saved = errno;

	for (struct piece piece; low < high; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		if (!piece.is_slot) {
			real_munmap((void *)piece.low, piece.bytes);
		} else if (piece_hold(&piece.place, &was)) {
			holes_add(&piece.place, piece.low, piece.bytes);
			piece_let_go(&piece.place, was);
		}
	}
	errno = saved;
}

int placing_make_way(struct arena *arena, const void *address, size_t bytes, int flags)
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, bytes);
	bool may_replace = (flags & MAP_FIXED_NOREPLACE) == 0;
	int saved = errno;

	if (!piece_is_range(arena, address, bytes))
		return flags;
	for (struct piece piece; low < high; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		if (piece.is_slot ? !claim(&piece, may_replace) : !may_replace && !placing_plug(&piece)) {
			give_back(arena, (uintptr_t)address, low);
			errno = saved;
			return flags; /* EEXIST */
		}
	}
	return (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
}

/* Counts the stacks that lie in the range as a whole as gone. */
void placing_note_over(const struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, bytes);
	enum slot_state was;

	for (struct piece piece; low < high; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		if (!piece.is_slot || !piece_is_whole(&piece) || !piece_hold(&piece.place, &was))
			continue;
		if (was == SLOT_RETIRED)
			arena_note_end(&piece.place);
		arena_end_treatment(&piece.place, was);
	}
}

void *placing_map(
        struct arena *arena, void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	int changed = placing_make_way(arena, address, bytes, flags);
	void *mapped = real_mmap(address, bytes, protection, changed, fd, offset);

	if (mapped != MAP_FAILED && (changed & MAP_FIXED) != 0)
		placing_note_over(arena, address, bytes);
	else if (mapped == MAP_FAILED && changed != flags)
		give_back(arena, (uintptr_t)address, piece_end(arena, address, bytes));
	return mapped;
}

/* Admits a mapping in a slot of the program's, of which a bare system call has unmapped at least this piece. */
static void admit(const struct piece *piece)
{
	if (slot_move(piece->place.slot, SLOT_LIVE, SLOT_TREATED)) {
		arena_forget(&piece->place);
		arena_end_treatment(&piece->place, SLOT_RETIRED);
	}
	claim(piece, true);
}

void placing_admit(struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, bytes);
	int saved = errno;

	for (struct piece piece; low < high; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		if (piece.is_slot)
			admit(&piece);
	}
	placing_note_over(arena, address, bytes);
	errno = saved;
}
