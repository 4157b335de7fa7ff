/* SPDX-License-Identifier: MIT */
/*
 * The arena: the addresses from which coroutine stacks are cut. It is reserved in chunks that nobody can
 * touch (PROT_NONE), each for the slots of one class; a slot is opened by mprotect when it is first used:
 *
 *	chunk  | slot | slot | slot | slot |  not yet opened …            |
 *	         ^ guard, then the stack
 *
 * A chunk is never moved, and never unmapped but for what was never used of it (stack/locked.h). Whether an
 * address is in it is a look-up in a table, exact and without a lock. The owner is the host stacks; all
 * threads, also from signal handlers: nothing here waits. errno survives.
 */
#ifndef COPOOL_STACK_ARENA_H
#define COPOOL_STACK_ARENA_H

#include "stack/depth.h"
#include "stack/guard.h"
#include "stack/slot.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ARENA_CLASSES = 64,
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

/* What arena_find needs comes first, in one line of the processor's cache. */
struct arena_chunk {
	_Alignas(64) uintptr_t base;
	size_t bytes; /* of a slot, and what multiplies instead of a division by it; as the class's */
	uint64_t reciprocal;
	struct arena_class *class;
	struct slot *slot;               /* one each, zeroed */
	_Atomic uint32_t slots;          /* falls once, in arena_shrink, to those in use */
	uint32_t number;                 /* in its class */
	_Atomic uintptr_t end;           /* of what is reserved; falls with `slots` */
	uint16_t *mark;                  /* one a slot, see stack/depth.c; NULL: nobody has looked */
	_Atomic uint32_t used;           /* slots handed out for the first time; may exceed `slots` */
	_Atomic uint64_t *_Atomic holes; /* see stack/holes.c; NULL: there are none */
};

/* Slots of one kind. */
struct arena_class {
	size_t bytes; /* of a slot, whole pages; set once, as the next two */
	int protection;
	bool is_reserved;        /* handed out as PROT_NONE, for the program to open above its guard */
	bool is_guard_kept;      /* a guard that is opened again stays: the slot is unmapped next */
	bool is_guarded_at_once; /* by its allocator, before anybody writes; set before the first slot */
	_Atomic uint32_t upper;  /* the guard at the high end of what was reserved, see stack/upper.h */
	struct arena *arena;
	_Atomic uint64_t free;   /* tag 32 | chunk number 6 | slot 26, see arena.c */
	_Atomic uint32_t chunks; /* of them complete; grows only */
	atomic_flag is_growing;  /* held by the thread that adds one */
	struct arena_chunk chunk[ARENA_CHUNKS];
	_Atomic uint64_t guards; /* slots that have a guard without a map of its own: maps saved */
	struct depth depth;
};

/* The chunk that each grain is part of; set once each. */
struct arena_leaf {
	struct arena_chunk *_Atomic chunk[1 << ARENA_LEAF_SHIFT];
};

struct arena {
	enum guard_means means;
	bool can_drop; /* MADV_DONTNEED gives memory back, and leaves zeroes; else slots are mapped anew */
	size_t page_bytes;
	struct arena_leaf *_Atomic leaf[ARENA_LEAVES]; /* of the address space; set once each */
	_Atomic uintptr_t low, high;                   /* all chunks lie in between */
	_Atomic uint64_t reserved;                     /* bytes */
	_Atomic bool is_refused;                       /* the system once had no room for a slot */
	_Atomic int no_huge; /* the answer to MADV_NOHUGEPAGE for all of it: 0, an errno, ARENA_… */
	struct depth_watch watch;
	/* A stack is no more that never comes back to a pool: it was retired. NULL: nobody wants to know. */
	void (*note_end)(const struct arena_place *place);
	struct arena_class class[ARENA_CLASSES];
};

/* A place in the arena. */
struct arena_place {
	struct arena_class *class;
	struct slot *slot;
	uintptr_t base; /* of the slot */
	size_t offset;  /* in it */
};

/* Prepares a zeroed arena. */
void arena_init(struct arena *arena, enum guard_means means);

/*
 * Sets a class up, which must not be set up yet: slots of `bytes` (whole pages) with `protection`. PROT_NONE
 * means slots that the program opens itself, readable and writable, above the guard: see arena_open.
 */
struct arena_class *arena_class_start(struct arena *arena, unsigned index, size_t bytes, int protection);

/*
 * A slot, opened, SLOT_LIVE; NULL when there is none to be had: then the caller maps as if there were no
 * arena. Its contents are zero; a guard that it had before is still there.
 */
void *arena_make(struct arena_class *class);

/* Whether the system once had no room for a slot: the caller maps such stacks as if there were no arena. */
bool arena_is_refused(const struct arena *arena);

/* Memory of the arena's got this answer to MADV_NOHUGEPAGE, 0 or an errno. The caller has not handed it out yet. */
void arena_note_no_huge(struct arena *arena, int error);

/* Gives a slot that is the caller's its class's protection. False: out of maps. */
bool arena_open_slot(const struct arena_place *place);

/*
 * Gives a slot's memory back; the slot is free. The caller owns it; it is SLOT_LEAVING when it is no longer
 * like its class.
 */
void arena_free(const struct arena_place *place);

/* Frees what a pool gives back. */
void arena_discard(const struct arena_place *place);

/* Makes of a SLOT_BUSY what it shall be now; frees it, if it has become a stray. */
void arena_let_go(const struct arena_place *place, enum slot_state now);

/* Makes of a SLOT_TREATED what it shall be now. */
void arena_end_treatment(const struct arena_place *place, enum slot_state now);

/* Makes the protections of a slot that is the program's the mapping's own. 0 or -errno. */
int arena_settle(const struct arena_place *place);

/* Nothing is left of a retired slot as it was handed out: it is counted as gone, once. The caller holds it. */
void arena_note_end(const struct arena_place *place);

/* Something that the program did not map through us lies where the slot was: its guard is no more. */
void arena_forget(const struct arena_place *place);

/* Maps a slot of the caller's anew: not open, no guard, nothing in it. 0 or -errno. */
int arena_close(const struct arena_place *place);

/* Whether a byte of the range is in one of our chunks; the caller has asked arena_is_near. */
bool arena_holds(const struct arena *arena, const void *address, size_t bytes);

/*
 * Makes the lowest `bytes` of a slot a guard, or only sees that they are. What is in these pages is there
 * again after arena_unguard. 0 or -errno.
 */
int arena_guard(const struct arena_place *place, size_t bytes);

/*
 * The program advises the kernel itself to make the lowest `bytes` of a slot a guard (MADV_GUARD_INSTALL, Linux 6.13), or
 * only sees that they are. Such a guard is the pages', not the mapping's: it stays whatever protection they are given.
 * 0 or -errno: -ENOTSUP where the slot is not as it was handed out.
 */
int arena_advise_guard(const struct arena_place *place, size_t bytes);

/* And advises it to take that guard away, all of it. 0 or -errno: -ENOTSUP where there is no such guard. */
int arena_advise_away(const struct arena_place *place, size_t bytes);

/* Whether the program has such a guard. */
static inline bool arena_is_advised(const struct slot *slot)
{
	return slot->guard_bytes != 0 && slot->is_advised;
}

/* Writes a word to the low end of a slot that is about to be handed out without guard; see stack/trust.h. */
void arena_mark(const struct arena_place *place);

/*
 * Opens a sealed slot between `guard_bytes` at its low end and `upper_bytes` at its high end. 0 or -errno: -ENOTSUP where
 * the class's slots have another guard at their high end.
 */
int arena_open(const struct arena_place *place, size_t guard_bytes, size_t upper_bytes);

/* The same of a live slot, with a guard, where that changes nothing: false where it would. */
bool arena_open_again(const struct arena_place *place, size_t bytes, int protection);

/*
 * A slot in the program's hands will be treated in some way that outlives its use: SLOT_RETIRED, its guard a
 * matter of the mapping's own protection. 0 or -errno, then it is as it was.
 */
int arena_retire(const struct arena_place *place);

/* Slots of a class that is handed out as PROT_NONE have so many bytes of guard at their high end, as far as is known. */
static inline size_t arena_upper(const struct arena_class *class)
{
	/* [class.upper] relaxed: set before the first slot is opened that has one, and [slot.state] hands that on. */
	uint32_t upper = atomic_load_explicit((_Atomic uint32_t *)&class->upper, memory_order_relaxed);

	return upper > 0 ? upper - 1 : 0;
}

/* How many slots have a guard that takes no memory map of its own. */
uint64_t arena_guards(const struct arena_class *class);

/* Takes the slot's guard away, if it has one. 0 or -errno. */
int arena_unguard(const struct arena_place *place);

/* Makes a slot what mmap returns: no guard, unless the program takes it for PROT_NONE anyway; all zero. 0 or -errno. */
int arena_renew(const struct arena_place *place);

/* Drops what is at these addresses, all in one slot, so that nobody can touch them; no hole appears. */
int arena_blank(const struct arena_place *place, uintptr_t low, size_t bytes);

/*
 * What the kernel says to MADV_NOHUGEPAGE for stacks that are as they were handed out: 0 or an errno, where that is known
 * and will stay so; else ARENA_ASK.
 */
static inline int arena_no_huge(const struct arena *arena)
{
	/* [arena.no_huge] relaxed: written before the memory in question was handed out. */
	int error = atomic_load_explicit((_Atomic int *)&arena->no_huge, memory_order_relaxed);

	return error == 0 || error == EINVAL ? error : ARENA_ASK;
}

/* Whether the range reaches into what lies between our lowest and our highest byte. For most ranges one
 * comparison. */
static inline bool arena_is_near(const struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = low + bytes;

	/* [arena.low, arena.high] relaxed: see widen. */
	return high > atomic_load_explicit((_Atomic uintptr_t *)&arena->low, memory_order_relaxed) &&
	       low < atomic_load_explicit((_Atomic uintptr_t *)&arena->high, memory_order_relaxed) &&
	       high >= low;
}

/* Whether a byte of the range is in one of our chunks. */
static inline bool arena_touches(const struct arena *arena, const void *address, size_t bytes)
{
	return arena_is_near(arena, address, bytes) && arena_holds(arena, address, bytes);
}

/* The chunk in whose grains an address lies, or NULL. */
static inline struct arena_chunk *arena_chunk_at(const struct arena *arena, uintptr_t at)
{
	struct arena_leaf *const _Atomic *place = &arena->leaf[at >> (ARENA_GRAIN_SHIFT + ARENA_LEAF_SHIFT)];
	unsigned grain = at >> ARENA_GRAIN_SHIFT & ((1 << ARENA_LEAF_SHIFT) - 1);
	/* [arena.leaf] acquire: its zeroes; pairs with set_chunk. */
	struct arena_leaf *leaf =
	        atomic_load_explicit((struct arena_leaf * _Atomic *)place, memory_order_acquire);

	/* [leaf.chunk] acquire: the chunk's fields; pairs with set_chunk. */
	return leaf != NULL ? atomic_load_explicit(&leaf->chunk[grain], memory_order_acquire) : NULL;
}

/* Where an address lies; false when it is not ours. */
static inline bool arena_find(const struct arena *arena, const void *address, struct arena_place *place)
{
	uintptr_t at = (uintptr_t)address;
	const struct arena_chunk *chunk;
	uint64_t slot;

	if (at >> ARENA_ADDRESS_BITS != 0)
		return false;
	chunk = arena_chunk_at(arena, at);
	if (chunk == NULL)
		return false;
	/* A division by `bytes`, exact as long as offset * bytes < 2^64 (Granlund and Montgomery, 1994). */
	slot = (unsigned __int128)(at - chunk->base) * chunk->reciprocal >> 64;
	/* [chunk.slots] relaxed: what it fell by was never handed out. */
	if (slot >= atomic_load_explicit((_Atomic uint32_t *)&chunk->slots, memory_order_relaxed))
		return false; /* what is left over at the chunk's end */
	place->class = chunk->class;
	place->slot = &chunk->slot[slot];
	place->base = chunk->base + slot * chunk->bytes;
	place->offset = at - place->base;
	return true;
}

/* A slot is handed out: its guard is of the last use; the program opens one of a reserved class. */
static inline void arena_seal(const struct arena_place *place)
{
	place->slot->is_sealed = place->class->is_reserved;
	place->slot->is_guard_old = true;
	place->slot->is_marked = place->slot->is_proof = place->slot->is_advised = false;
}

/* Opens a slot that is the caller's, unless it is open or the program is to do that. False: out of maps. */
static inline bool arena_ready(const struct arena_place *place)
{
	return place->slot->is_open || place->class->is_reserved || arena_open_slot(place);
}

#endif
