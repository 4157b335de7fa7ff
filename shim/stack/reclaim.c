/* SPDX-License-Identifier: MIT */
/* Spans, whose slots are claimed one by one. */
#include "stack/reclaim.h"

#include "libc/real.h"
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/spent.h"

#include <errno.h>
#include <sys/mman.h>

enum { SPAN_SHARE = 4 }; /* slots smaller than this part of a span are not worth the walk */

/* Claims the free slots from `low` to `end`. Returns where it had to stop; `end` or more if nowhere. */
static uintptr_t claim(const struct arena *arena, uintptr_t low, uintptr_t end)
{
	struct arena_place place;

	while (low < end && arena_find(arena, (void *)low, &place) &&
	        slot_move(place.slot, SLOT_FREE, SLOT_BUSY))
		low = place.base + place.class->bytes;
	return low;
}

static void release(const struct arena *arena, uintptr_t low, uintptr_t end)
{
	struct arena_place place;

	for (; low < end && arena_find(arena, (void *)low, &place); low = place.base + place.class->bytes)
		arena_let_go(&place, SLOT_FREE);
}

/* A guard keeps its page table in use. */
static bool unguard(const struct arena *arena, uintptr_t low, uintptr_t end)
{
	struct arena_place place;

	for (; low < end && arena_find(arena, (void *)low, &place); low = place.base + place.class->bytes) {
		spent_note(place.class, place.slot->guard_bytes != 0);
		if (arena_unguard(&place) != 0)
			return false;
	}
	return true;
}

static void reclaim_span(const struct arena_class *class, uintptr_t low, size_t bytes)
{
	const struct arena *arena = class->arena;
	uintptr_t claimed = claim(arena, low, low + bytes);

	/* The kernel drops a page table only on advice for its whole span. */
	if (claimed >= low + bytes && unguard(arena, low, claimed)) {
		real_own_madvise((void *)low, bytes, MADV_DONTNEED);
		spent_note(class, 1);
	}
	release(arena, low, claimed);
}

void arena_reclaim(const struct arena_place *place)
{
	const struct arena_class *class = place->class;
	size_t span = class->arena->page_bytes * (class->arena->page_bytes / sizeof(void *));
	uintptr_t low = place->base & ~(span - 1);
	int saved = errno;

	if (arena_upper(class) > 0)
		return; /* the guards at the high ends keep the tables */
	for (; class->bytes >= span / SPAN_SHARE && low < place->base + class->bytes; low += span)
		reclaim_span(class, low, span);
	errno = saved;
}
