/* SPDX-License-Identifier: MIT */
/* The caller of each function owns the slot, or takes it by its state first. */
#include "stack/lifetime.h"

#include "libc/real.h"
#include "stack/address.h"
#include "stack/chunk.h"
#include "stack/holes.h"
#include "stack/slot_guard.h"
#include "stack/spent.h"
#include "stack/upper.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

enum { CLEARED_BYTES = 8 << 10 }; /* rounded up to whole pages */

/* Moves a slot that was taken from where it waited. False: it is lost, or a busy thread will free it. */
static bool take(struct slot *slot, enum slot_state from, enum slot_state to)
{
	do {
		if (slot_move(slot, from, to))
			return true;
		if (slot_move(slot, SLOT_BUSY, SLOT_STRAY))
			return false;
	} while (slot_state(slot) == from || slot_state(slot) == SLOT_BUSY);
	return false;
}

bool arena_open_slot(const struct arena_place *place)
{
	place->slot->is_open = upper_open(place) == 0;
	return place->slot->is_open;
}

void *arena_make(struct arena_class *class)
{
	struct arena_place place = {.class = class};
	int saved = errno;
	void *made = NULL;
	uint32_t id;

	while (made == NULL && (id = chunk_take_slot(class)) != 0) {
		place.slot = chunk_slot(class, id);
		place.base = (uintptr_t)chunk_base(class, id);
		if (!take(place.slot, SLOT_FREE, SLOT_LIVE))
			continue;
		if (!arena_ready(&place)) {
			slot_move(place.slot, SLOT_LIVE, SLOT_FREE);
			chunk_put_slot(class, id);
			/* [arena.is_refused] relaxed: a statistic. */
			atomic_store_explicit(&class->arena->is_refused, true, memory_order_relaxed);
			break;
		}
		made = (void *)place.base;
	}
	errno = saved;
	return made;
}

int arena_open(const struct arena_place *place, size_t guard_bytes, size_t upper_bytes)
{
	struct slot *slot = place->slot;
	int error = upper_agree(place->class, upper_bytes);

	if (error != 0)
		return error;
	if (!slot->is_open) {
		/* Written down before it is true, as a guard is. */
		slot->is_open = true;
		error = upper_open(place);
		slot->is_open = error == 0;
	}
	if (error != 0)
		return error;
	error = guard_bytes > 0 ? arena_guard(place, guard_bytes) : arena_unguard(place);
	if (error == 0)
		slot->is_sealed = false;
	return error;
}

bool arena_open_again(const struct arena_place *place, size_t bytes, int protection)
{
	const struct arena_class *class = place->class;
	struct slot *slot = place->slot;
	bool is_same;

	/* A cheap look first; it is repeated when the slot is held. */
	if (protection != class->protection || !slot->is_sealed || !slot_move(slot, SLOT_LIVE, SLOT_TREATED))
		return false;
	is_same = slot->is_sealed && slot->is_open && place->offset != 0 &&
	          place->offset == slot->guard_bytes &&
	          place->offset + bytes == class->bytes - arena_upper(class);
	if (is_same)
		slot->is_sealed = slot->is_guard_old = false;
	arena_end_treatment(place, SLOT_LIVE);
	return is_same;
}

int arena_retire(const struct arena_place *place)
{
	int error;

	if (!slot_move(place->slot, SLOT_LIVE, SLOT_TREATED))
		return 0;
	error = arena_settle(place);
	arena_end_treatment(place, error == 0 ? SLOT_RETIRED : SLOT_LIVE);
	return error;
}

void arena_note_end(const struct arena_place *place)
{
	const struct arena *arena = place->class->arena;

	if (!slot_doom(place->slot, SLOT_ENDED) && arena->note_end != NULL)
		arena->note_end(place);
}

void arena_forget(const struct arena_place *place)
{
	struct slot *slot = place->slot;

	arena_forget_guard(place);
	slot->is_open = false;
	slot->is_sealed = false;
	slot->name = 0;
}

/* Frees memory. Guards by madvise and mprotect survive that. */
static int drop(const struct arena *arena, uintptr_t low, size_t bytes)
{
	if (!arena->can_drop)
		return -ENOSYS;
	if (bytes == 0 || real_own_madvise((void *)low, bytes, MADV_DONTNEED) == 0 ||
	        real_own_madvise((void *)low, bytes, MADV_DONTNEED_LOCKED) == 0)
		return 0;
	return -errno;
}

/* Does the same to all of a slot, but for a guard that would not survive. */
static int drop_slot(const struct arena_place *place)
{
	size_t kept = place->slot->guard_means == GUARD_POISON ? place->slot->guard_bytes : 0;

	return drop(place->class->arena, place->base + kept, place->class->bytes - kept);
}

/* A stack is used from its top: clearing the pages that will be used again is cheaper than a page fault for each. */
static int clear(const struct arena_place *place)
{
	size_t page = place->class->arena->page_bytes, rest;
	size_t top = (CLEARED_BYTES + page - 1) & ~(page - 1);
	size_t high = place->class->bytes - arena_upper(place->class), guard = place->slot->guard_bytes;

	if (!place->slot->is_open)
		return 0; /* nobody could write to it */
	if (!place->class->arena->can_drop) {
		if (arena_close(place) != 0)
			return -ENOMEM;
		place->slot->is_sealed = place->class->is_reserved;
		return arena_ready(place) ? 0 : -ENOMEM;
	}
	if ((place->class->protection & PROT_WRITE) == 0)
		return drop(place->class->arena, place->base, place->class->bytes);
	if (top > high - guard)
		top = high - guard;
	rest = high - top;
	memset((void *)(place->base + rest), 0, top);
	return drop(place->class->arena, place->base, rest);
}

int arena_renew(const struct arena_place *place)
{
	bool keeps_guard = place->slot->is_sealed && place->slot->guard_means != GUARD_POISON;
	unsigned calls = !keeps_guard && place->slot->guard_bytes != 0;
	int saved = errno, error = keeps_guard ? 0 : arena_unguard(place);

	if (error == 0)
		error = clear(place);
	errno = saved;
	spent_note(place->class, calls + place->slot->is_open); /* the last one for what was cleared */
	return error;
}

int arena_blank(const struct arena_place *place, uintptr_t low, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, saved = errno, error = 0;

	if (real_mmap((void *)low, bytes, PROT_NONE, flags, -1, 0) != MAP_FAILED)
		arena_note_no_huge(place->class->arena,
		        real_own_madvise((void *)low, bytes, MADV_NOHUGEPAGE) == 0 ? 0 : errno);
	/* Nothing may be mapped: a sandbox, or the limit on maps. A guard would survive the rest. */
	else if (place->slot->guard_bytes != 0 || real_mprotect((void *)low, bytes, PROT_NONE) != 0)
		error = -errno;
	else
		error = drop(place->class->arena, low, bytes);
	errno = saved;
	return error;
}

int arena_close(const struct arena_place *place)
{
	int error = arena_blank(place, place->base, place->class->bytes);

	if (error == 0)
		arena_forget(place);
	return error;
}

/*
 * A freed slot waits for its next use, unless it may have none; or another thread has taken it, see stack/orphans.h.
 */
static void put_away(const struct arena_place *place, enum slot_state held)
{
	struct slot *slot = place->slot;
	bool is_spent = slot_has(slot, SLOT_SPENT);

	/* [slot.fate] relaxed: as in slot_has. */
	atomic_fetch_and_explicit(&slot->fate, ~SLOT_ENDED, memory_order_relaxed);
	if (is_spent)
		holes_add(place, place->base, place->class->bytes);
	else
		holes_fill(place, place->base, place->class->bytes);
	if (slot_move(slot, held, is_spent ? SLOT_GONE : SLOT_FREE) && !is_spent)
		chunk_put_slot(
		        place->class, chunk_id(arena_chunk_at(place->class->arena, place->base), slot));
}

void arena_free(const struct arena_place *place)
{
	struct slot *slot = place->slot;
	enum slot_state held = slot_state(slot);
	int saved = errno;

	if (held == SLOT_LOST || held == SLOT_GONE)
		return;
	/* A guard that splits the mapping is removed with the memory: idle slots must not cost memory maps. */
	if ((held == SLOT_LEAVING || upper_splits(place) || drop_slot(place) != 0 ||
	            (slot->guard_means == GUARD_MPROTECT && arena_unguard(place) != 0)) &&
	        arena_close(place) != 0) {
		drop(place->class->arena, place->base, place->class->bytes);
		slot_doom(slot, SLOT_SPENT);
	}
	put_away(place, held);
	errno = saved;
}

void arena_discard(const struct arena_place *place)
{
	if (take(place->slot, SLOT_IDLE, SLOT_BUSY))
		arena_free(place);
}

void arena_let_go(const struct arena_place *place, enum slot_state now)
{
	if (!slot_move(place->slot, SLOT_BUSY, now) && slot_state(place->slot) == SLOT_STRAY)
		arena_free(place);
}

void arena_end_treatment(const struct arena_place *place, enum slot_state now)
{
	struct slot *slot = place->slot;

	if (now == SLOT_LIVE && slot_has(slot, SLOT_SPENT) && arena_settle(place) == 0)
		now = SLOT_RETIRED;
	/* Another thread has retired it, or a fork in a signal handler that interrupted this one. */
	if (!slot_move(slot, SLOT_TREATED, now) && slot_state(slot) == SLOT_RETIRED)
		arena_settle(place);
}
