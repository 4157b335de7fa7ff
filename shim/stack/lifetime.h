/* SPDX-License-Identifier: MIT */
/*
 * The life of a slot: made, handed out to the program, treated by it, retired, freed.
 *
 *	FREE --make--> LIVE <--treat--> TREATED		the program changes its slot through us
 *	 ^  ^           |  |
 *	 |  |       unmap  retire
 *	 |  |           v  v
 *	 |  +-discard- IDLE RETIRED			in a pool; not like its class any more
 *	 +-----free---------'				when the program has unmapped it
 *
 * All threads, also in signal handlers: nothing here waits. errno survives. "0 or -errno" means that the slot is
 * unchanged after a failure.
 */
#ifndef COPOOL_STACK_LIFETIME_H
#define COPOOL_STACK_LIFETIME_H

#include "stack/arena.h"

/*
 * Returns an open slot, SLOT_LIVE, or NULL if there is none: then the caller maps the stack as if there were no
 * arena. The slot's contents are zero. A guard of an earlier use is still set.
 */
void *arena_make(struct arena_class *class);

/* Gives a slot of the caller's the protection of its class. False: out of memory maps. */
bool arena_open_slot(const struct arena_place *place);

/* Opens a slot of the caller's, unless it is open or the program opens it itself. False: out of memory maps. */
static inline bool arena_ready(const struct arena_place *place)
{
	return place->slot->is_open || place->class->is_reserved || arena_open_slot(place);
}

/* Marks a slot as handed out: its guard is of the last use, and the program opens the slots of a reserved class. */
static inline void arena_seal(const struct arena_place *place)
{
	place->slot->is_sealed = place->class->is_reserved;
	place->slot->is_guard_old = true;
	place->slot->is_marked = place->slot->is_proof = place->slot->is_advised = false;
}

/*
 * Opens a sealed slot between `guard_bytes` at its low end and `upper_bytes` at its high end. 0 or -errno: -ENOTSUP
 * if the slots of the class have another guard at their high end.
 */
int arena_open(const struct arena_place *place, size_t guard_bytes, size_t upper_bytes);

/* Does the same to a live slot with a guard, if that changes nothing. False: it would. */
bool arena_open_again(const struct arena_place *place, size_t bytes, int protection);

/* Ends a SLOT_TREATED: the slot becomes `now`. */
void arena_end_treatment(const struct arena_place *place, enum slot_state now);

/*
 * The program is about to treat a slot in a way that outlives its use: SLOT_RETIRED, and the guard becomes part of
 * the mapping's own protection. 0 or -errno.
 */
int arena_retire(const struct arena_place *place);

/* Counts a retired slot as gone, once: the program has nothing of it any more. The caller must hold the slot. */
void arena_note_end(const struct arena_place *place);

/* A mapping that did not go through us replaced the slot: forgets its guard, its protection and its name. */
void arena_forget(const struct arena_place *place);

/* Makes a slot what mmap returns: zero, and without a guard unless it is sealed. 0 or -errno. */
int arena_renew(const struct arena_place *place);

/* Drops the contents of a part of one slot and makes it inaccessible. No hole appears. 0 or -errno. */
int arena_blank(const struct arena_place *place, uintptr_t low, size_t bytes);

/* Maps a slot of the caller's again: closed, empty, without a guard. 0 or -errno. */
int arena_close(const struct arena_place *place);

/* Frees a slot and its memory. The caller must own it; SLOT_LEAVING means that it is not like its class any more. */
void arena_free(const struct arena_place *place);

/* Frees a slot that a pool gives back. */
void arena_discard(const struct arena_place *place);

/* Ends a SLOT_BUSY: the slot becomes `now`; or is freed, if it has become a stray. */
void arena_let_go(const struct arena_place *place, enum slot_state now);

#endif
