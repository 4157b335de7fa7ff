/* SPDX-License-Identifier: MIT */
/*
 * The arena: the addresses from which coroutine stacks are cut. It is reserved in chunks that nobody can touch
 * (PROT_NONE), each for the slots of one class. mprotect opens a slot when it is used for the first time:
 *
 *	chunk  | slot | slot | slot | slot |  not yet opened …            |
 *	         ^ guard, then the stack
 *
 * A chunk never moves. What the program does not use of it may be unmapped, and is never ours again (stack/locked.h). A
 * table says whether an address is in a chunk, exactly and without a lock (stack/address.h). What happens to a slot is
 * in stack/lifetime.h.
 *
 * The adapter for stacks owns the arena. All threads, also in signal handlers: nothing here waits. errno survives.
 */
#ifndef COPOOL_STACK_ARENA_H
#define COPOOL_STACK_ARENA_H

#include "stack/depth.h"
#include "stack/guard.h"
#include "stack/slot.h"
#include "system/bounds.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ARENA_CHUNKS = 64,      /* of one class */
	ARENA_GRAIN_SHIFT = 22, /* chunks are whole grains of 4 MiB, aligned to them */
#ifdef __aarch64__
	ARENA_ADDRESS_BITS = 48,
#else
	ARENA_ADDRESS_BITS = 47,
#endif
	ARENA_LEAF_SHIFT = 13, /* grains in a leaf of the table of grains */
	ARENA_LEAVES = 1 << (ARENA_ADDRESS_BITS - ARENA_GRAIN_SHIFT - ARENA_LEAF_SHIFT),
	ARENA_NOT_ADVISED = -1, /* see arena.no_huge */
	ARENA_ASK = -2,
};

/* The fields that arena_find needs come first, in one cache line. */
struct arena_chunk {
	_Alignas(64) uintptr_t base;
	size_t bytes;        /* of a slot, as in the class */
	uint64_t reciprocal; /* to multiply by instead of dividing by `bytes` */
	struct arena_class *class;
	struct slot *slot;               /* one each, zeroed */
	_Atomic uint32_t slots;          /* lowered by arena_shrink to those in use, by arena_vacate to 0 */
	uint32_t number;                 /* in its class */
	_Atomic uintptr_t end;           /* of the reservation; lowered with `slots` */
	uint16_t *mark;                  /* one a slot, see stack/depth.c; NULL: nobody has looked */
	_Atomic uint32_t used;           /* slots handed out for the first time; may exceed `slots` */
	_Atomic uint64_t *_Atomic holes; /* see stack/holes.c; NULL: there are none */
};

/* Slots of one kind. */
struct arena_class {
	size_t bytes; /* of a slot, whole pages; set once, as the next two */
	int protection;
	bool is_reserved;        /* handed out as PROT_NONE, for the program to open above its guard */
	bool is_guard_kept;      /* a guard that the program opens again stays: it unmaps the slot next */
	bool is_guarded_at_once; /* by its allocator, before anybody writes; set before the first slot */
	_Atomic uint32_t upper;  /* the guard at the high end of reserved slots, see stack/upper.h */
	struct arena *arena;
	_Atomic uint64_t free;   /* tag 32 | chunk number 6 | slot 26, see chunk.c */
	_Atomic uint32_t chunks; /* how many are complete; only grows */
	atomic_flag is_growing;  /* held by the thread that adds a chunk */
	struct arena_chunk chunk[ARENA_CHUNKS];
	_Atomic uint64_t guards; /* slots whose guard takes no memory map: maps saved */
	struct depth depth;
};

/* The chunk of each grain; each is set once. */
struct arena_leaf {
	struct arena_chunk *_Atomic chunk[1 << ARENA_LEAF_SHIFT];
};

/* A place in the arena. */
struct arena_place {
	struct arena_class *class;
	struct slot *slot;
	uintptr_t base; /* of the slot */
	size_t offset;  /* in the slot */
};

struct arena {
	enum guard_means means;
	bool can_drop; /* MADV_DONTNEED frees memory and leaves zeroes; otherwise slots are mapped again */
	size_t page_bytes;
	struct arena_leaf *_Atomic leaf[ARENA_LEAVES]; /* of the address space; each is set once */
	_Atomic uintptr_t low, high;                   /* all chunks lie in between */
	_Atomic uint64_t reserved;                     /* bytes */
	_Atomic bool is_refused;                       /* the system once had no room for a slot */
	_Atomic int no_huge; /* the answer to MADV_NOHUGEPAGE for all of it: 0, an errno, ARENA_… */
	struct depth_watch watch;
	/* Called for a retired stack that is gone: it never returns to a pool. May be NULL. */
	void (*note_end)(const struct arena_place *place);
	/* The arena made so many system calls that the program would not have made. NULL, as above. */
	void (*note_calls)(const struct arena_class *class, unsigned calls);
	struct arena_class class[POOL_MAX]; /* a pool each */
};

/* Prepares a zeroed arena. */
void arena_init(struct arena *arena, enum guard_means means);

/*
 * Sets up a class that is not set up yet: slots of `bytes` (whole pages) with `protection`. With PROT_NONE the
 * program opens the slots itself, readable and writable, above the guard: see arena_open.
 */
struct arena_class *arena_class_start(struct arena *arena, unsigned index, size_t bytes, int protection);

/* Whether the system once had no room for a slot. */
bool arena_is_refused(const struct arena *arena);

/* How many bytes of guard the slots of a reserved class have at their high end, as far as is known. */
static inline size_t arena_upper(const struct arena_class *class)
{
	/* [class.upper] relaxed: set before the first such slot is opened, and published by [slot.state]. */
	uint32_t upper = atomic_load_explicit((_Atomic uint32_t *)&class->upper, memory_order_relaxed);

	return upper > 0 ? upper - 1 : 0;
}

/* Notes what the kernel said to MADV_NOHUGEPAGE, 0 or an errno, for memory that is not handed out yet. */
void arena_note_no_huge(struct arena *arena, int error);

/*
 * What the kernel says to MADV_NOHUGEPAGE for untreated stacks: 0 or an errno if that is known; otherwise ARENA_ASK.
 */
static inline int arena_no_huge(const struct arena *arena)
{
	/* [arena.no_huge] relaxed: written before the memory in question was handed out. */
	int error = atomic_load_explicit((_Atomic int *)&arena->no_huge, memory_order_relaxed);

	return error == 0 || error == EINVAL ? error : ARENA_ASK;
}

#endif
