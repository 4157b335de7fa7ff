/* SPDX-License-Identifier: MIT */
/*
 * Waits for coroutines that come with a library which the program loads while it runs: mod_php, perl's Coro, a
 * plugin. That costs nothing else: each request that could be for a stack is checked for whether its call is in a
 * known allocator (adapter/sites.h). The first such call ends the wait.
 *
 *	NEVER ----------> WAITING -----------> COMING -----------> COME
 *	       late_wait    ^        by one       |  `come` is done
 *	                    +-------- fork -------+
 *
 * All threads, also in signal handlers, constructors of libraries and a fork's child. Until late_wait() the state is
 * NEVER.
 */
#ifndef COPOOL_ADAPTER_LATE_H
#define COPOOL_ADAPTER_LATE_H

#include <stdatomic.h>
#include <stdbool.h>

enum late { LATE_NEVER, LATE_WAITING, LATE_COMING, LATE_COME };

extern _Atomic int late_state; /* an enum late */

/*
 * Begins to wait. `come` runs once in a process, on a stack of ours, with signals blocked. If it returns false, the
 * state is NEVER for good.
 */
void late_wait(bool (*come)(void));

/* Whether the wait is on. */
static inline bool late_is_waiting(void)
{
	/* [late.state] relaxed: a hint; the change to COMING checks it. */
	return atomic_load_explicit(&late_state, memory_order_relaxed) == LATE_WAITING;
}

/*
 * Checks a call that could be for a stack. If it is in a known allocator, runs `come`, unless another thread does.
 * errno survives.
 */
void late_look(const void *caller);

/* In a fork's child: if another thread was in `come`, waits again. */
void late_fork_child(void);

#endif
