/* SPDX-License-Identifier: MIT */
/* Upper guards. */
#include "stack/upper.h"

#include "libc/real.h"

#include <errno.h>
#include <sys/mman.h>

int upper_agree(struct arena_class *class, size_t bytes)
{
	uint32_t decided = 0;

	/* [class.upper] relaxed: see arena_upper. */
	if (atomic_compare_exchange_strong_explicit(&class->upper, &decided, (uint32_t)bytes + 1,
	            memory_order_relaxed, memory_order_relaxed) ||
	        decided == bytes + 1)
		return 0;
	return -ENOTSUP;
}

int upper_open(const struct arena_place *place)
{
	const struct arena_class *class = place->class;
	size_t upper = arena_upper(class), opened = class->bytes - upper;
	void *high = (void *)(place->base + opened);
	bool is_advised = upper > 0 && class->arena->means == GUARD_MADVISE &&
	                  guard_install(GUARD_MADVISE, high, upper) == GUARD_MADVISE;
	int saved = errno, error = 0;

	/* In this order these pages are never open. */
	if (real_mprotect((void *)place->base, is_advised ? class->bytes : opened, class->protection) != 0)
		error = -errno;
	if (error != 0 && is_advised)
		guard_remove(GUARD_MADVISE, high, upper, PROT_NONE);
	errno = saved;
	return error;
}

int upper_settle(const struct arena_place *place)
{
	size_t upper = arena_upper(place->class);

	if (upper == 0 || !place->slot->is_open || place->class->arena->means != GUARD_MADVISE)
		return 0;
	return guard_settle(GUARD_MADVISE, (void *)(place->base + place->class->bytes - upper), upper);
}

bool upper_splits(const struct arena_place *place)
{
	return place->slot->is_open && arena_upper(place->class) > 0 &&
	       place->class->arena->means != GUARD_MADVISE;
}
