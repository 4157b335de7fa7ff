/* Ranges are cut into pieces: each lies in one slot, or outside of all. */
#include "host/mappings.h"

#include "libc/clock.h"
#include "libc/real.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>

struct piece {
	uintptr_t low;
	size_t bytes;
	bool is_slot; /* in one slot, `place`; else outside */
	bool is_ours; /* in the arena: also what is left over at a chunk's end */
	struct arena_place place;
};

static bool is_in_transit(enum slot_state state)
{
	return state == SLOT_BUSY || state == SLOT_STRAY || state == SLOT_LEAVING;
}

/*
 * The slot's state, when no other thread does anything to it: that takes as long as a system call, for which
 * the kernel would make us wait as well. Bounded, in case that thread is one that we have interrupted.
 */
static enum slot_state await(const struct slot *slot)
{
	enum slot_state state = slot_state(slot);
	int saved = errno;

	for (int i = 0; i < 20000 && is_in_transit(state); i++) {
		if (i < 100)
			sched_yield();
		else
			clock_sleep_us(50);
		state = slot_state(slot);
	}
	errno = saved;
	return state;
}

/* As arena_retire, but sure: also where another thread is just doing something to the slot. */
static int retire(const struct arena_place *place)
{
	int error;

	do
		error = arena_retire(place);
	while (error == 0 && await(place->slot) == SLOT_LIVE);
	return error;
}

/* The piece that begins at `low`, of a range that ends at `high`. */
static struct piece piece_at(const struct arena *arena, uintptr_t low, uintptr_t high)
{
	uintptr_t grain = (uintptr_t)1 << ARENA_GRAIN_SHIFT, end = (low | (grain - 1)) + 1;
	struct piece piece = {.low = low};

	piece.is_slot = arena_find(arena, (void *)low, &piece.place);
	if (piece.is_slot)
		end = piece.place.base + piece.place.class->bytes;
	piece.is_ours = piece.is_slot || arena_touches(arena, (void *)low, 1);
	piece.bytes = (end < high ? end : high) - low;
	return piece;
}

/* Whether the slot is in the program's hands. */
static bool is_mapped(const struct piece *piece)
{
	enum slot_state state = piece->is_slot ? await(piece->place.slot) : SLOT_FREE;

	return state == SLOT_LIVE || state == SLOT_RETIRED || state == SLOT_LOST;
}

static bool is_whole(const struct piece *piece)
{
	return piece->low == piece->place.base && piece->bytes == piece->place.class->bytes;
}

static uintptr_t end_of(const struct arena *arena, const void *address, size_t bytes)
{
	return (uintptr_t)address + ((bytes + arena->page_bytes - 1) & ~(arena->page_bytes - 1));
}

/* Whether the kernel would look at such a range at all; what it says of others it shall say itself. */
static bool is_range(const struct arena *arena, const void *address, size_t bytes)
{
	uint64_t all = (uint64_t)1 << ARENA_ADDRESS_BITS;

	return (uintptr_t)address % arena->page_bytes == 0 && bytes != 0 && bytes <= all &&
	       (uintptr_t)address <= all - bytes;
}

/* The program maps something over it. */
static void give_up_slot(const struct arena_place *place)
{
	enum slot_state state;

	do {
		retire(place);
		state = await(place->slot);
	} while (state != SLOT_RETIRED && state != SLOT_LOST && !is_in_transit(state) &&
	         !slot_move(place->slot, state, state == SLOT_LIVE ? SLOT_RETIRED : SLOT_LOST));
}

static void give_up(struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = end_of(arena, address, bytes);

	for (struct piece piece; low < high; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		if (piece.is_slot)
			give_up_slot(&piece.place);
	}
}

/* Whether nothing of the program's is there, and nothing that is not ours. */
static bool is_vacant(const struct arena *arena, uintptr_t low, uintptr_t high)
{
	bool vacant = true;

	for (struct piece piece; low < high && vacant; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		vacant = piece.is_ours && !is_mapped(&piece);
	}
	return vacant;
}

int mappings_make_way(struct arena *arena, const void *address, size_t bytes, int flags)
{
	if (!is_range(arena, address, bytes))
		return flags;
	if ((flags & MAP_FIXED_NOREPLACE) != 0) {
		if (!is_vacant(arena, (uintptr_t)address, end_of(arena, address, bytes)))
			return flags; /* EEXIST */
		flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	}
	give_up(arena, address, bytes);
	return flags;
}

int mappings_retire(struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = end_of(arena, address, bytes);
	int error = 0;

	for (struct piece piece; low < high && error == 0; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		if (piece.is_slot)
			error = retire(&piece.place);
	}
	return error;
}

/* A whole slot. False: it is not what it was a moment ago. */
static bool unmap_slot(
        const struct arena_place *place, void (*release)(const struct arena_place *place), int *error)
{
	if (slot_move(place->slot, SLOT_LIVE, SLOT_IDLE)) {
		release(place);
		return true;
	}
	if (slot_move(place->slot, SLOT_RETIRED, SLOT_LEAVING)) {
		arena_free(place);
		return true;
	}
	if (slot_move(place->slot, SLOT_LOST, SLOT_BUSY)) {
		*error = arena_close(place);
		arena_let_go(place, *error == 0 ? SLOT_GONE : SLOT_LOST);
		return true;
	}
	return false;
}

static int unmap_part(const struct piece *piece)
{
	int error = retire(&piece->place);

	return error == 0 ? arena_blank(&piece->place, piece->low, piece->bytes) : error;
}

static int unmap_piece(const struct piece *piece, void (*release)(const struct arena_place *place))
{
	int error = 0;

	if (!piece->is_ours)
		return real_munmap((void *)piece->low, piece->bytes) == 0 ? 0 : -errno;
	while (is_mapped(piece)) {
		if (!is_whole(piece))
			return unmap_part(piece);
		if (unmap_slot(&piece->place, release, &error))
			return error;
	}
	return 0; /* nothing of the program's is there */
}

int mappings_unmap(
        struct arena *arena, void *address, size_t bytes, void (*release)(const struct arena_place *place))
{
	uintptr_t low = (uintptr_t)address, high = end_of(arena, address, bytes);
	int saved = errno, error = 0;

	if (!is_range(arena, address, bytes))
		return real_munmap(address, bytes); /* which says EINVAL */
	for (struct piece piece; low < high && error == 0; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		error = unmap_piece(&piece, release);
	}
	errno = error == 0 ? saved : -error;
	return error == 0 ? 0 : -1;
}

/* A protection after which the slot is like its class, guard aside; -ENOTSUP for any other. */
static int protect_live(const struct piece *piece, int protection)
{
	const struct arena_place *place = &piece->place;
	size_t offset = piece->low - place->base, guard = place->slot->guard_bytes;

	if (place->slot->is_sealed && protection == PROT_NONE)
		return 0;
	if (place->slot->is_sealed && protection == place->class->protection &&
	        offset + piece->bytes == place->class->bytes)
		return arena_open(place, offset);
	if (place->slot->is_sealed)
		return -ENOTSUP;
	if (protection == PROT_NONE && offset == 0 && !is_whole(piece))
		return arena_guard(place, piece->bytes);
	if (protection == place->class->protection && offset >= guard)
		return 0; /* as it is */
	if (protection == place->class->protection && offset == 0 && piece->bytes >= guard)
		return arena_unguard(place);
	return -ENOTSUP;
}

static int protect_piece(const struct piece *piece, int protection, int key)
{
	int error = -ENOTSUP;

	if (piece->is_ours && !is_mapped(piece))
		return -ENOMEM;
	if (piece->is_ours && key == -1 && slot_move(piece->place.slot, SLOT_LIVE, SLOT_BUSY)) {
		error = protect_live(piece, protection);
		arena_let_go(&piece->place, SLOT_LIVE);
	}
	if (error != -ENOTSUP)
		return error;
	/* Any protection of any part, after which the slot is not like its class any more. */
	error = piece->is_ours ? retire(&piece->place) : 0;
	if (error == 0 && real_pkey_mprotect((void *)piece->low, piece->bytes, protection, key) != 0)
		error = -errno;
	return error;
}

int mappings_protect(struct arena *arena, void *address, size_t bytes, int protection, int key)
{
	uintptr_t low = (uintptr_t)address, high = end_of(arena, address, bytes);
	int saved = errno, error = 0;

	if (!is_range(arena, address, bytes))
		return real_pkey_mprotect(address, bytes, protection, key);
	for (struct piece piece; low < high && error == 0; low += piece.bytes) {
		piece = piece_at(arena, low, high);
		error = protect_piece(&piece, protection, key);
	}
	errno = error == 0 ? saved : -error;
	return error == 0 ? 0 : -1;
}

/* Advice that says something about the pages, not about the mapping; or what the arena says of it anyway. */
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

/* The part of a piece that advice may reach: such a guard does not survive that its memory is given back. */
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

	if (piece->is_ours && !is_mapped(piece))
		return -ENOMEM;
	reached = piece->is_slot ? without_poison(*piece) : *piece;
	return real_madvise((void *)reached.low, reached.bytes, advice) == 0 ? 0 : -errno;
}

int mappings_advise(struct arena *arena, void *address, size_t bytes, int advice)
{
	uintptr_t low = (uintptr_t)address, high = end_of(arena, address, bytes);
	int saved = errno, error = 0;

	if (!is_range(arena, address, bytes))
		return real_madvise(address, bytes, advice);
	if (!is_passing(advice) && (error = mappings_retire(arena, address, bytes)) != 0) {
		errno = -error;
		return -1;
	}
	for (struct piece piece; low < high; low += piece.bytes) {
		int result;

		piece = piece_at(arena, low, high);
		result = advise_piece(&piece, advice);
		if (result != 0)
			error = result;
		if (result != 0 && result != -ENOMEM)
			break; /* ENOMEM is said at the end, as the kernel does: the rest is advised */
	}
	errno = error == 0 ? saved : -error;
	return error == 0 ? 0 : -1;
}

/* Closes the hole that a move has left. What another thread has mapped there meanwhile stays. */
static void close_hole(const struct arena_place *place, uintptr_t low, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;

	if (real_mmap((void *)low, bytes, PROT_NONE, flags, -1, 0) == MAP_FAILED)
		slot_move(place->slot, SLOT_RETIRED, SLOT_LOST);
}

void *mappings_move(
        struct arena *arena, void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address)
{
	uintptr_t low = (uintptr_t)address, high = end_of(arena, address, old_bytes);
	int may = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, saved = errno, error;
	struct piece piece = {0};
	void *moved;

	if ((flags & MREMAP_FIXED) != 0)
		give_up(arena, new_address, new_bytes);
	errno = saved;
	if (is_range(arena, address, old_bytes))
		piece = piece_at(arena, low, high);
	if (!piece.is_ours || new_bytes == 0 || (flags & ~may) != 0 ||
	        ((flags & ~MREMAP_MAYMOVE) != 0 && (flags & MREMAP_MAYMOVE) == 0))
		return real_mremap(address, old_bytes, new_bytes, flags, new_address);
	if (!is_mapped(&piece) || low + piece.bytes != high) {
		errno = EFAULT; /* not one mapping */
		return MAP_FAILED;
	}
	error = retire(&piece.place);
	if (error != 0) {
		errno = -error;
		return MAP_FAILED;
	}
	if ((flags & ~MREMAP_MAYMOVE) == 0 && new_bytes <= old_bytes) {
		uintptr_t end = end_of(arena, address, new_bytes);

		error = end < high ? arena_blank(&piece.place, end, high - end) : 0;
		errno = error == 0 ? saved : -error;
		return error == 0 ? address : MAP_FAILED;
	}
	moved = real_mremap(address, old_bytes, new_bytes, flags, new_address);
	if (moved != MAP_FAILED) {
		if (moved != address && (flags & MREMAP_DONTUNMAP) == 0)
			close_hole(&piece.place, low, high - low);
		errno = saved;
	}
	return moved;
}
