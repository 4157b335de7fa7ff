/* SPDX-License-Identifier: MIT */
/* Each range is treated piece by piece: see adapter/pieces.h. */
#include "adapter/mappings.h"

#include "adapter/pieces.h"
#include "adapter/placing.h"
#include "libc/real.h"
#include "stack/address.h"
#include "stack/holes.h"
#include "stack/lifetime.h"
#include "stack/orphans.h"
#include "stack/slot_guard.h"

#include <errno.h>
#include <sys/mman.h>

/* What a system call returns: 0 with the caller's errno, or -1 with the error's. */
static int result_of(int error, int saved)
{
	errno = error == 0 ? saved : -error;
	return error == 0 ? 0 : -1;
}

int mappings_retire(struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, bytes);
	int saved = errno, error = 0;

	for (struct piece piece; low < high && error == 0; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		if (piece.is_slot)
			error = piece_retire(&piece.place);
	}
	errno = saved;
	return error;
}

/* ---- munmap ---- */

/* Unmaps a whole slot. False: its state has just changed. */
static bool unmap_slot(
        const struct arena_place *place, void (*release)(const struct arena_place *place), int *error)
{
	if (slot_move(place->slot, SLOT_LIVE, SLOT_IDLE)) {
		release(place);
		return true;
	}
	if (slot_move(place->slot, SLOT_RETIRED, SLOT_LEAVING)) {
		arena_note_end(place);
		arena_free(place);
		return true;
	}
	if (slot_move(place->slot, SLOT_LOST, SLOT_TREATED)) {
		*error = arena_close(place);
		arena_end_treatment(place, *error == 0 ? SLOT_GONE : SLOT_LOST);
		return true;
	}
	arena_await(place);
	return false;
}

static int unmap_part(const struct piece *piece)
{
	const struct arena_place *place = &piece->place;
	int error = piece_retire(place);
	enum slot_state was;

	if (error != 0 || !piece_hold(place, &was))
		return error;
	error = arena_blank(place, piece->low, piece->bytes);
	if (error == 0)
		holes_add(place, piece->low, piece->bytes);
	piece_let_go(place, was);
	return error;
}

static int unmap_piece(const struct piece *piece, void (*release)(const struct arena_place *place))
{
	int error = 0;

	if (!piece->is_slot)
		return real_munmap((void *)piece->low, piece->bytes) == 0 ? 0 : -errno;
	while (piece_is_mapped(piece)) {
		if (!piece_is_whole(piece))
			return unmap_part(piece);
		if (unmap_slot(&piece->place, release, &error))
			return error;
	}
	return 0; /* nothing of the program's is there */
}

int mappings_unmap(
        struct arena *arena, void *address, size_t bytes, void (*release)(const struct arena_place *place))
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, bytes);
	int saved = errno, error = 0;

	if (!piece_is_range(arena, address, bytes))
		return real_munmap(address, bytes); /* it says EINVAL */
	for (struct piece piece; low < high && error == 0; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		error = unmap_piece(&piece, release);
	}
	return result_of(error, saved);
}

/* ---- mprotect ---- */

/* Protects a slot that is still PROT_NONE for the program, which opens it above its guard, or between two. */
static int protect_sealed(const struct piece *piece, int protection)
{
	const struct arena_place *place = &piece->place;
	size_t offset = piece->low - place->base;
	size_t upper = place->class->bytes - offset - piece->bytes;

	if (protection == PROT_NONE)
		return 0;
	if (protection != place->class->protection || (offset == 0 && upper > 0))
		return -ENOTSUP;
	return arena_open(place, offset, upper);
}

/* Applies a protection that leaves the slot like its class, but for its guard; -ENOTSUP for any other. */
static int protect_live(const struct piece *piece, int protection)
{
	const struct arena_place *place = &piece->place;
	size_t offset = piece->low - place->base, guard = place->slot->guard_bytes;
	size_t high = place->class->bytes - arena_upper(place->class);

	if (place->slot->is_sealed)
		return protect_sealed(piece, protection);
	if (offset + piece->bytes > high)
		return protection == PROT_NONE && offset >= high ? 0 : -ENOTSUP;
	if (arena_is_advised(place->slot))
		return protection == place->class->protection ? 0 : -ENOTSUP;
	if (protection == PROT_NONE && offset == 0 && !piece_is_whole(piece))
		return arena_guard(place, piece->bytes);
	if (protection == place->class->protection && offset >= guard)
		return 0; /* it has that protection */
	if (protection == place->class->protection && offset == 0 && piece->bytes >= guard)
		return arena_unguard(place);
	return -ENOTSUP;
}

static int protect_piece(const struct piece *piece, int protection, int key)
{
	int error = -ENOTSUP;

	if (piece->is_slot && !piece_is_mapped(piece))
		return -ENOMEM;
	if (piece->is_slot && key == -1 && slot_move(piece->place.slot, SLOT_LIVE, SLOT_TREATED)) {
		error = protect_live(piece, protection);
		arena_end_treatment(&piece->place, SLOT_LIVE);
	}
	if (error != -ENOTSUP)
		return error;
	/* Any protection of any part, which makes the slot unlike its class. */
	error = piece->is_slot ? piece_retire(&piece->place) : 0;
	if (error == 0 && real_pkey_mprotect((void *)piece->low, piece->bytes, protection, key) != 0)
		error = -errno;
	return error;
}

int mappings_protect(struct arena *arena, void *address, size_t bytes, int protection, int key)
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, bytes);
	int saved = errno, error = 0;

	if (!piece_is_range(arena, address, bytes))
		return real_pkey_mprotect(address, bytes, protection, key);
	for (struct piece piece; low < high && error == 0; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		error = protect_piece(&piece, protection, key);
	}
	return result_of(error, saved);
}

/* ---- madvise ---- */

/* Whether advice is about the pages, not about the mapping; or is what the arena has advised anyway. */
static bool is_passing(int advice)
{
	switch (advice) {
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_NOHUGEPAGE:
		return true;
	default:
		return false;
	}
}

/* The part of a piece that advice may reach: poison does not survive if its memory is freed. */
static struct piece without_poison(struct piece piece)
{
	uintptr_t guard_end = piece.place.base + piece.place.slot->guard_bytes;
	uintptr_t end = piece.low + piece.bytes;

	if (slot_state(piece.place.slot) == SLOT_LIVE && piece.place.slot->guard_means == GUARD_POISON &&
	        piece.low < guard_end) {
		piece.low = guard_end < end ? guard_end : end;
		piece.bytes = end - piece.low;
	}
	return piece;
}

static int advise_piece(const struct piece *piece, int advice)
{
	struct piece reached;

	if (piece->is_slot && !piece_is_mapped(piece))
		return -ENOMEM;
	reached = piece->is_slot ? without_poison(*piece) : *piece;
	return real_madvise((void *)reached.low, reached.bytes, advice) == 0 ? 0 : -errno;
}

/* Sets up or removes a guard by the program's own advice. -ENOTSUP: the kernel must decide. */
static int advise_guard(struct arena *arena, const void *address, size_t bytes, int advice)
{
	int error = -ENOTSUP;
	struct piece piece;

	if (advice != MADV_GUARD_INSTALL && advice != MADV_GUARD_REMOVE)
		return error;
	piece = piece_at(arena, (uintptr_t)address, piece_end(arena, address, bytes));
	if (!piece.is_slot || piece.low != piece.place.base || piece_is_whole(&piece) ||
	        piece.low + piece.bytes != piece_end(arena, address, bytes) ||
	        !slot_move(piece.place.slot, SLOT_LIVE, SLOT_TREATED))
		return error;
	error = advice == MADV_GUARD_INSTALL ? arena_advise_guard(&piece.place, piece.bytes)
	                                     : arena_advise_away(&piece.place, piece.bytes);
	arena_end_treatment(&piece.place, SLOT_LIVE);
	return error;
}

int mappings_advise(struct arena *arena, void *address, size_t bytes, int advice)
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, bytes);
	int saved = errno, error = 0;

	if (!piece_is_range(arena, address, bytes))
		return real_madvise(address, bytes, advice);
	error = advise_guard(arena, address, bytes, advice);
	if (error != -ENOTSUP)
		return result_of(error, saved);
	error = 0;
	if (!is_passing(advice) && (error = mappings_retire(arena, address, bytes)) != 0)
		return result_of(error, saved);
	for (struct piece piece; low < high; low += piece.bytes) {
		int result;

		piece = piece_at(arena, low, high);
		result = advise_piece(&piece, advice);
		if (result != 0)
			error = result;
		if (result != 0 && result != -ENOMEM)
			break; /* ENOMEM is returned at the end, as the kernel does: the rest is advised */
	}
	return result_of(error, saved);
}

/* ---- mremap ---- */

/* Closes the hole that a move has left. What another thread has mapped there since stays. */
static void close_hole(const struct piece *piece)
{
	enum slot_state was;

	if (!piece_hold(&piece->place, &was))
		return;
	if (placing_plug(piece))
		holes_add(&piece->place, piece->low, piece->bytes);
	piece_let_go(&piece->place, was);
}

/* Shrinks in place. The part behind the new end must be the program's. */
static void *shrink(struct arena *arena, void *address, uintptr_t high, size_t new_bytes)
{
	uintptr_t end = piece_end(arena, address, new_bytes);
	int saved = errno, error = 0;
	struct piece piece;

	if (end < high) {
		piece = piece_at(arena, end, high);
		error = unmap_part(&piece);
	}
	return result_of(error, saved) == 0 ? address : MAP_FAILED;
}

/* Moves a piece of the program's, which must be all that is to be moved. */
static void *move_piece(
        struct arena *arena, const struct piece *piece, size_t new_bytes, int flags, void *new_address)
{
	void *address = (void *)piece->low, *moved;
	int saved = errno, error = piece_retire(&piece->place);

	if (error != 0) {
		errno = -error;
		return MAP_FAILED;
	}
	if ((flags & ~MREMAP_MAYMOVE) == 0 && new_bytes <= piece->bytes)
		return shrink(arena, address, piece->low + piece->bytes, new_bytes);
	moved = real_mremap(address, piece->bytes, new_bytes, flags, new_address);
	if (moved != MAP_FAILED) {
		if (moved != address && (flags & MREMAP_DONTUNMAP) == 0)
			close_hole(piece);
		errno = saved;
	}
	return moved;
}

void *mappings_move(
        struct arena *arena, void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address)
{
	uintptr_t low = (uintptr_t)address, high = piece_end(arena, address, old_bytes);
	int may = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
	bool is_fixed = (flags & MREMAP_FIXED) != 0;
	struct piece piece = {0};
	void *moved;

	if (is_fixed)
		placing_make_way(arena, new_address, new_bytes, MAP_FIXED);
	if (piece_is_range(arena, address, old_bytes))
		piece = piece_at(arena, low, high);
	if (!piece.is_slot || new_bytes == 0 || (flags & ~may) != 0 ||
	        ((flags & ~MREMAP_MAYMOVE) != 0 && (flags & MREMAP_MAYMOVE) == 0)) {
		moved = real_mremap(address, old_bytes, new_bytes, flags, new_address);
	} else if (!piece_is_mapped(&piece) || low + piece.bytes != high) {
		errno = EFAULT; /* not one mapping */
		moved = MAP_FAILED;
	} else {
		moved = move_piece(arena, &piece, new_bytes, flags, new_address);
	}
	if (moved != MAP_FAILED && is_fixed)
		placing_note_over(arena, new_address, new_bytes);
	else if (moved != MAP_FAILED && moved != address && arena_touches(arena, moved, new_bytes))
		placing_admit(arena, moved, new_bytes);
	return moved;
}
