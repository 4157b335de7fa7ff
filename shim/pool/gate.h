/* SPDX-License-Identifier: MIT */
/*
 * The gate: lets fork find the depot, the remainder and the blocks at rest. Slow paths go through it; fork
 * closes it, waits until those inside have left (they never block there and make no system call but an mmap),
 * and opens it again on both sides. Nobody waits at a closed gate: who comes is turned away and goes to the
 * host's own functions. No lock is held over the fork. Fork's wait is bounded.
 *
 * Synchronization. There are two ways in:
 *	gate_enter	Dekker's handshake. Both sides write their own word, then read the other's, all
 *			sequentially consistent: of a slow path that enters and a fork that closes, at least
 *			one sees the other.
 *	gate_step_in	for depot_push and depot_pop alone, without the locked instruction: the
 *			compare-and-swap on the depot's word is the handshake. Fork changes that word after
 *			it has closed. Who had changed it before is seen to be inside; who has not must read
 *			it anew, and sees `closed`.
 */
#ifndef COPOOL_POOL_GATE_H
#define COPOOL_POOL_GATE_H

#include "pool/thread.h"

enum { GATE_WAIT_MS = 200, GATE_VISITORS = 64 };

struct gate {
	_Atomic uint32_t closed; /* forks under way; written by forking threads */
	/* Threads inside that have no block, as thread_number says it, or 0; written by themselves. */
	_Atomic uintptr_t visitor[GATE_VISITORS];
};

extern struct gate gate;

/*
 * Enters; false when a fork is under way, or when too many threads without a block are inside. `thread` is the caller's own block, or NULL for a thread that has
 * none. A caller that is inside already (a signal handler) may enter again.
 */
bool gate_enter(struct thread *thread);
void gate_leave(struct thread *thread);

static inline void gate_set_inside(struct thread *thread, int change)
{
	/*
	 * A thread's own word has one writer, so this needs no locked instruction, which would cost as much as all of
	 * the depot.
	 *
	 * [gate.inside] release: what was done inside comes before; pairs with the load in gate_wait. On the
	 * way in it is ordered by the compare-and-swap that follows.
	 */
	single_move(&thread->inside, change);
}

/* As gate_enter, for the caller's own block, around depot_push and depot_pop, which look at the gate. */
static inline void gate_step_in(struct thread *thread)
{
	gate_set_inside(thread, 1);
}

static inline void gate_step_out(struct thread *thread)
{
	gate_set_inside(thread, -1);
}

/*
 * Before fork: closes, has `interrupt` change the words of all depots (see above), and waits for everybody
 * but the calling thread, which may be in a signal handler; at most GATE_WAIT_MS. False when somebody was still inside then: the child must not
 * trust what it finds.
 */
bool gate_close(void (*interrupt)(void));

/* After fork, in the parent. */
void gate_open(void);

/* After fork, in the child: whoever was inside does not exist here. */
void gate_reset(void);

#endif
