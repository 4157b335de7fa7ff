/* SPDX-License-Identifier: MIT */
/*
 * The gate: lets fork find the depot, the remainder and the threads' blocks at rest. Slow paths go through it. Fork
 * closes it, waits for the threads inside, and opens it again on both sides. Threads inside do not block, and make no
 * system call but an mmap, so fork waits for a short time; it stops waiting after GATE_WAIT_MS. A thread never waits at
 * a closed gate: it is refused, and uses the program's own functions. No lock is held over the fork.
 *
 * Synchronization. There are two ways in:
 *	gate_enter	Dekker's handshake. The thread writes its own word and reads `closed`; fork writes `closed` and
 *			reads the threads' words; all sequentially consistent. At least one of the two sees the other.
 *	gate_step_in	only around operations on the depot that look at `closed` themselves: transfer.h's, depot_push,
 *			depot_pop, depot_stock and depot_unstock. It saves the locked instruction, because the depot's
 *			compare-and-swap is the handshake: after it has closed the gate, fork changes the depot's word.
 *			A thread that changed the word before is seen inside; a thread that did not must read the word
 *			again, and then sees `closed`.
 */
#ifndef COPOOL_POOL_GATE_H
#define COPOOL_POOL_GATE_H

#include "pool/owner_word.h"

#include <stdbool.h>

enum { GATE_WAIT_MS = 200, GATE_VISITORS = 64 };

struct gate {
	_Atomic uint32_t closed; /* forks under way; written by forking threads */
	/* Threads inside that have no word of their own: a number of the thread, or 0. Each writes its own. */
	_Atomic uintptr_t visitor[GATE_VISITORS];
};

extern struct gate gate;

/*
 * Enters. Returns false while a fork is under way, or when GATE_VISITORS threads without a word are inside. `inside`
 * is a word that only the calling thread changes, NULL if it has none. A signal handler may enter while the thread that
 * it interrupts is inside.
 */
bool gate_enter(_Atomic uint32_t *inside);
void gate_leave(_Atomic uint32_t *inside);

/* As gate_enter and gate_leave, for the second way; `inside` is not NULL. */
static inline void gate_step_in(_Atomic uint32_t *inside)
{
	/*
	 * [gate.inside] release: as in gate_step_out; no more is needed, because the compare-and-swap that follows
	 * orders this store before it.
	 */
	owner_move(inside, 1);
}

static inline void gate_step_out(_Atomic uint32_t *inside)
{
	/* [gate.inside] release: publishes what was done inside; pairs with the load in gate_wait. */
	owner_move(inside, -1);
}

/* Before fork: closes the gate. Then the caller waits, in this order: visitors, depot_interrupt(), threads' words. */
void gate_close(void);

/* Waits until nobody is inside by this word. Returns false when that takes longer than `deadline_ms` of clock_now_ms(). */
bool gate_wait(const _Atomic uint32_t *inside, uint64_t deadline_ms);

/* The same for visitors, except the calling thread, which may be in a signal handler. */
bool gate_wait_visitors(uint64_t deadline_ms);

/* After fork, in the parent. */
void gate_open(void);

/*
 * After fork, in the child: opens the gate and forgets visitors that do not exist here. The caller clears the words of
 * threads that do not.
 */
void gate_reset(void);

#endif
