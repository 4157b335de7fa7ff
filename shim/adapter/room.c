/* SPDX-License-Identifier: MIT */
/* No system call is made before something is given up: the program may have a filter that forbids it. */
#include "adapter/room.h"

#include "adapter/classes.h"
#include "stack/locked.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

enum { LIMITS = 2 };

static const int resource_of[LIMITS] = {RLIMIT_AS, RLIMIT_DATA};

static struct {
	_Atomic uint64_t limit[LIMITS];
	_Atomic uint64_t seen[2]; /* what room_state() was when all that is idle had just been given up */
} room = {.limit = {RLIM_INFINITY, RLIM_INFINITY}};

/* [room.limit] relaxed: a word by itself. */
static uint64_t limit_of(unsigned number)
{
	return atomic_load_explicit(&room.limit[number], memory_order_relaxed);
}

uint64_t room_note_limit(int resource)
{
	int saved = errno;
	struct rlimit now;

	for (unsigned i = 0; i < LIMITS; i++) {
		if (resource != resource_of[i])
			continue;
		if (getrlimit(resource, &now) == 0)
			/* [room.limit] relaxed: as above. */
			atomic_store_explicit(&room.limit[i], now.rlim_cur, memory_order_relaxed);
		errno = saved;
		return limit_of(i);
	}
	return RLIM_INFINITY;
}

void room_init(void)
{
	for (unsigned i = 0; i < LIMITS; i++)
		room_note_limit(resource_of[i]);
}

static bool is_limited(void)
{
	return limit_of(0) != RLIM_INFINITY || limit_of(1) != RLIM_INFINITY;
}

bool room_is_for(int flags)
{
	/* Stacks are no huge pages, and lie high. Whoever maps something else for a driver may lack anything. */
	return (flags & (MAP_HUGETLB | MAP_32BIT)) == 0 && ((flags & MAP_ANONYMOUS) != 0 || is_limited());
}

/* Whether as much as that can be there at all, once the arena has nothing. */
static bool may_fit(const struct arena *arena, size_t bytes)
{
	if (bytes <= arena_reserved(arena))
		return true;
	for (unsigned i = 0; i < LIMITS; i++) {
		if (limit_of(i) != RLIM_INFINITY && bytes <= limit_of(i))
			return true;
	}
	return false;
}

/* Changes when something can be given up again: a stack has come back, or addresses were reserved. */
static bool has_changed(uint64_t reserved, uint64_t returned)
{
	/* [room.seen] relaxed: a stale word costs one walk, or a stack's return later. */
	return atomic_load_explicit(&room.seen[0], memory_order_relaxed) != reserved ||
	       atomic_load_explicit(&room.seen[1], memory_order_relaxed) != returned;
}

bool room_make(struct arena *arena, size_t bytes)
{
	uint64_t before = arena_reserved(arena), returned;

	if (before == 0 || !may_fit(arena, bytes))
		return false;
	returned = classes_returned();
	if (!has_changed(before, returned))
		return false;
	arena_vacate(arena);
	/* [room.seen] relaxed: as in has_changed. */
	atomic_store_explicit(&room.seen[0], arena_reserved(arena), memory_order_relaxed);
	atomic_store_explicit(&room.seen[1], returned, memory_order_relaxed);
	return arena_reserved(arena) < before;
}
