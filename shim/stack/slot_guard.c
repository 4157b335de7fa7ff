/* SPDX-License-Identifier: MIT */
/*
 * A guard is written down in the slot before it exists, because the thread may never return from the system call: see
 * stack/orphans.h.
 */
#include "stack/slot_guard.h"

#include "libc/real.h"
#include "stack/upper.h"

#include <errno.h>
#include <sys/mman.h>

/* A word that nobody writes by chance. */
static const uint64_t MARK = 0x6c6f6f706f632e2e;

static void count_guard(struct arena_class *class, enum guard_means means, int change)
{
	/* [class.guards] relaxed: a statistic. */
	if (means != GUARD_MPROTECT)
		atomic_fetch_add_explicit(&class->guards, change, memory_order_relaxed);
}

void arena_forget_guard(const struct arena_place *place)
{
	if (place->slot->guard_bytes != 0)
		count_guard(place->class, place->slot->guard_means, -1);
	place->slot->guard_bytes = 0;
}

int arena_unguard(const struct arena_place *place)
{
	struct slot *slot = place->slot;
	int error;

	if (slot->guard_bytes == 0)
		return 0;
	error = guard_remove(
	        slot->guard_means, (void *)place->base, slot->guard_bytes, place->class->protection);
	if (error != 0)
		return error;
	count_guard(place->class, slot->guard_means, -1);
	slot->guard_bytes = 0;
	return 0;
}

static bool is_empty(uintptr_t low, size_t bytes)
{
	const uint64_t *word = (const uint64_t *)low, *end = (const uint64_t *)(low + bytes);

	while (word < end && *word == 0)
		word++;
	return word == end;
}

/*
 * How pages become a guard. Their contents must survive. Looking at a page that was never touched costs a page fault,
 * so nobody looks if the allocator sets up the first guard at once.
 */
static enum guard_means means_for(const struct arena_place *place, size_t bytes)
{
	enum guard_means means = place->class->arena->means;
	bool is_untouched = place->class->is_guarded_at_once && place->slot->guard_means == GUARD_AUTO;

	return means == GUARD_MPROTECT || is_untouched || is_empty(place->base, bytes) ? means
	                                                                               : GUARD_MPROTECT;
}

void arena_mark(const struct arena_place *place)
{
	if ((place->class->protection & PROT_WRITE) == 0)
		return;
	*(volatile uint64_t *)place->base = MARK;
	place->slot->is_marked = true;
}

/* Notes whether the program has left the future guard pages alone, as far as can be seen. */
static void look_at_mark(const struct arena_place *place, size_t bytes)
{
	volatile uint64_t *mark = (volatile uint64_t *)place->base;

	if (!place->slot->is_marked || *mark != MARK)
		return;
	*mark = 0;
	place->slot->is_proof = is_empty(place->base, bytes);
}

int arena_guard(const struct arena_place *place, size_t bytes)
{
	struct slot *slot = place->slot;
	enum guard_means wanted;
	int means;

	if (slot->guard_bytes == bytes || (slot->guard_bytes > bytes && !slot->is_guard_old)) {
		slot->is_guard_old = false;
		return 0;
	}
	means = arena_unguard(place);
	if (means != 0)
		return means;
	look_at_mark(place, bytes);
	/* Written down before it exists: this thread may never return, see stack/orphans.h. */
	slot->is_advised = false;
	slot->guard_means = wanted = means_for(place, bytes);
	slot->guard_bytes = bytes;
	count_guard(place->class, wanted, 1);
	means = guard_install(wanted, (void *)place->base, bytes);
	if (means != (int)wanted)
		count_guard(place->class, wanted, -1);
	if (means < 0) {
		slot->guard_bytes = 0;
		return means;
	}
	slot->guard_means = means;
	slot->is_guard_old = false;
	return 0;
}

int arena_advise_guard(const struct arena_place *place, size_t bytes)
{
	struct slot *slot = place->slot;
	int saved = errno, error;

	if (slot->is_sealed || bytes > place->class->bytes - arena_upper(place->class) ||
	        (slot->guard_bytes != 0 && !slot->is_guard_old))
		return -ENOTSUP;
	if (slot->guard_bytes == bytes && slot->guard_means == GUARD_MADVISE) {
		slot->is_advised = true;
		slot->is_guard_old = false;
		return 0;
	}
	error = arena_unguard(place);
	if (error != 0)
		return error;
	look_at_mark(place, bytes);
	slot->is_advised = true;
	slot->guard_means = GUARD_MADVISE;
	slot->guard_bytes = bytes;
	count_guard(place->class, GUARD_MADVISE, 1);
	slot->is_guard_old = false;
	if (real_madvise((void *)place->base, bytes, MADV_GUARD_INSTALL) == 0) {
		errno = saved;
		return 0;
	}
	error = -errno;
	count_guard(place->class, GUARD_MADVISE, -1);
	slot->guard_bytes = 0;
	slot->is_guard_old = true;
	slot->is_advised = false;
	return error;
}

int arena_advise_away(const struct arena_place *place, size_t bytes)
{
	int error = -ENOTSUP;

	if (arena_is_advised(place->slot) && place->slot->guard_bytes == bytes)
		error = arena_unguard(place);
	if (error == 0)
		place->slot->is_advised = false;
	return error;
}

int arena_settle(const struct arena_place *place)
{
	struct slot *slot = place->slot;
	int error;

	if (slot->is_sealed && slot->is_open &&
	        real_mprotect((void *)place->base, place->class->bytes, PROT_NONE) != 0)
		return -errno;
	error = upper_settle(place);
	if (error == 0 && slot->guard_bytes != 0 && !slot->is_advised)
		error = guard_settle(slot->guard_means, (void *)place->base, slot->guard_bytes);
	if (error != 0)
		return error;
	arena_forget_guard(place);
	/* Another thread may settle the slot again, after the program has gone on: see arena_end_treatment. */
	slot->is_open &= !place->class->is_reserved;
	return 0;
}
