/* SPDX-License-Identifier: MIT */
/*
 * A thread that returns to a slot which was taken from it finds another state, and leaves the slot alone: see
 * arena_let_go, arena_end_treatment and arena_free.
 */
#include "stack/orphans.h"

#include "libc/real.h"
#include "stack/chunk.h"
#include "stack/holes.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "system/clock.h"

#include <errno.h>
#include <sched.h>

/* About 10 milliseconds: enough for a thread that has lost its processor. */
enum { YIELDS = 20, NAPS = 60, NAP_US = 150 };

static bool is_in_transit(enum slot_state state)
{
	return state == SLOT_BUSY || state == SLOT_STRAY || state == SLOT_LEAVING || state == SLOT_TREATED;
}

/* What the program has of the slot stays as it is, with mprotect as its only guard. */
static void decide_treated(const struct arena_place *place)
{
	/* A lost slot was spent before; see SLOT_LOST. */
	bool was_lost = slot_doom(place->slot, SLOT_SPENT);

	if (slot_move(place->slot, SLOT_TREATED, was_lost ? SLOT_LOST : SLOT_RETIRED) && !was_lost)
		arena_settle(place);
}

/* The slot was ours, or on its way to us. */
static void decide_ours(const struct arena_place *place, enum slot_state state)
{
	slot_doom(place->slot, SLOT_SPENT);
	if (slot_move(place->slot, state, SLOT_GONE))
		holes_add(place, place->base, place->class->bytes);
}

enum slot_state arena_await(const struct arena_place *place)
{
	enum slot_state state = slot_state(place->slot);
	int saved = errno;

	for (int i = 0; i < YIELDS + NAPS && is_in_transit(state); i++) {
		if (i < YIELDS)
			sched_yield();
		else
			clock_sleep_us(NAP_US);
		state = slot_state(place->slot);
	}
	if (state == SLOT_TREATED)
		decide_treated(place);
	else if (is_in_transit(state))
		decide_ours(place, state);
	errno = saved;
	return slot_state(place->slot);
}

/* ---- fork ---- */

static void decide(const struct arena_place *place)
{
	enum slot_state state = slot_state(place->slot);

	if (!is_in_transit(state))
		return;
	/* Only SLOT_LEAVING has left the program's hands: this very thread may be just handing out another slot. */
	if (state == SLOT_LEAVING)
		arena_close(place);
	if (state == SLOT_TREATED)
		decide_treated(place);
	else
		decide_ours(place, state);
}

void arena_fork_child(struct arena *arena)
{
	int saved = errno;

	/* [origins.thread] relaxed: the watcher is not in the child, and another thread may get its id. */
	if (atomic_load_explicit(&arena->watch.thread, memory_order_relaxed) != 0)
		atomic_store_explicit(&arena->watch.thread, 0, memory_order_relaxed);
	for (unsigned i = 0; i < POOL_MAX; i++) {
		struct arena_class *class = &arena->class[i];

		if (class->bytes == 0)
			continue; /* its page stays shared with the parent */
		/* [class.chunks] relaxed: the child has one thread. */
		uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_relaxed);

		atomic_flag_clear_explicit(&class->is_growing, memory_order_relaxed);
		for (uint32_t j = 0; j < chunks; j++)
			chunk_each_slot(&class->chunk[j], decide);
	}
	errno = saved;
}
