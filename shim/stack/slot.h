/* SPDX-License-Identifier: MIT */
/*
 * One slot of the arena (stack/arena.h): its owner and its condition. The state changes by compare-and-swap; all
 * other fields belong to the owner. All threads, also in signal handlers.
 */
#ifndef COPOOL_STACK_SLOT_H
#define COPOOL_STACK_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum slot_state {
	SLOT_FREE,    /* owned by the arena */
	SLOT_LIVE,    /* in the program's hands, as it was handed out but for its guard */
	SLOT_RETIRED, /* in the program's hands, and treated so that it can never be reused */
	SLOT_IDLE,    /* owned by a pool */
	SLOT_LEAVING, /* on its way from the program to the arena */
	SLOT_BUSY,    /* not in the program's hands, while one of our calls changes it */
	SLOT_STRAY,   /* the same, but taken from its owner: that call frees it, see arena_let_go */
	SLOT_LOST,    /* the program has mapped something over it while it was not its own: never reused */
	SLOT_GONE,    /* the same, and the program has unmapped it */
	SLOT_FRESH, /* from the arena, and not in the program's hands yet; set by the caller of arena_make */
	SLOT_TREATED, /* in the program's hands, while one of our calls changes it */
	SLOT_VACANT,  /* unmapped by us: whatever is there now is not ours, see stack/locked.h */
};

struct slot {
	_Atomic uint32_t state; /* an enum slot_state; the slot's owner changes it */
	_Atomic uint32_t next;  /* the next free slot; see arena_class.free */
	uint32_t guard_bytes;   /* at the low end, 0: none; the owner's, as all below */
	uint16_t name : 15;     /* a hash of the mapping's name; 0: none that is known */
	bool is_advised : 1;    /* by MADV_GUARD_INSTALL of the program itself: see arena_advise_guard */
	bool is_name_refused : 1;
	bool is_guard_old : 1;   /* from the last use, not asked for in this one */
	bool is_open : 1;        /* has the protection of its class, but for the guard */
	bool is_sealed : 1;      /* still PROT_NONE for the program; see arena_class.is_reserved */
	bool is_marked : 1;      /* its low end was handed out with a mark; see stack/trust.h */
	bool is_proof : 1;       /* the mark was whole when a guard was asked for */
	uint8_t guard_means : 2; /* an enum guard_means, of its last guard; GUARD_AUTO: it never had one */
	_Atomic uint8_t fate;    /* of SLOT_SPENT and SLOT_ENDED */
};

enum {
	SLOT_SPENT = 1, /* never handed out again: it ends as SLOT_GONE */
	SLOT_ENDED = 2, /* retired and counted as gone: the program has mapped over all of it */
};

_Static_assert(sizeof(struct slot) == 16, "a million stacks take a million of these");

static inline enum slot_state slot_state(const struct slot *slot)
{
	/* [slot.state] acquire: what the last owner did to the slot; pairs with slot_move. */
	return atomic_load_explicit((_Atomic uint32_t *)&slot->state, memory_order_acquire);
}

/* Ends a SLOT_BUSY that no other thread can take. The caller must hold it. */
static inline void slot_settle(struct slot *slot, enum slot_state state)
{
	/* [slot.state] release: as slot_move. */
	atomic_store_explicit(&slot->state, state, memory_order_release);
}

static inline bool slot_has(const struct slot *slot, unsigned fate)
{
	/* [slot.fate] relaxed: set before the state that needs it. */
	return (atomic_load_explicit((_Atomic uint8_t *)&slot->fate, memory_order_relaxed) & fate) != 0;
}

/* Sets a fate. Returns whether it was set already. */
static inline bool slot_doom(struct slot *slot, unsigned fate)
{
	/* [slot.fate] relaxed: as in slot_has. */
	return (atomic_fetch_or_explicit(&slot->fate, fate, memory_order_relaxed) & fate) != 0;
}

/* Changes a slot's state. False: it was not `from`. */
static inline bool slot_move(struct slot *slot, enum slot_state from, enum slot_state to)
{
	uint32_t expected = from;

	/* [slot.state] acq_rel: the slot changes hands; pairs with slot_state and itself. */
	return atomic_compare_exchange_strong_explicit(
	        &slot->state, &expected, to, memory_order_acq_rel, memory_order_acquire);
}

#endif
