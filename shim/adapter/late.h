/* SPDX-License-Identifier: MIT */
/*
 * Waiting for coroutines that come with a library which the program loads while it runs: mod_php, perl's Coro, a plugin.
 * What costs nothing notices them: of a request that could be one for a stack it is asked whether its call lies in a
 * known allocator (adapter/sites.h). The first that does is what has been waited for.
 *
 *	NEVER ----------> WAITING -----------> COMING -----------> COME
 *	       late_wait    ^        by one       |  `come` is done
 *	                    +-------- fork -------+
 *
 * All threads, also in signal handlers, in constructors of libraries and in a fork's child; until late_wait() it is never.
 */
#ifndef COPOOL_ADAPTER_LATE_H
#define COPOOL_ADAPTER_LATE_H

#include <stdatomic.h>
#include <stdbool.h>

enum late { LATE_NEVER, LATE_WAITING, LATE_COMING, LATE_COME };

extern _Atomic int late_state; /* an enum late */

/* Begins to wait. `come` runs once in a process, on a stack of ours, with signals blocked; false: never again. */
void late_wait(bool (*come)(void));

/* Whether anybody waits. */
static inline bool late_is_waiting(void)
{
	/* [late.state] relaxed: a hint, that the change to COMING checks. */
	return atomic_load_explicit(&late_state, memory_order_relaxed) == LATE_WAITING;
}

/* A call that could be for a stack: if it is in a known allocator, runs `come`, unless another thread does. errno survives. */
void late_look(const void *caller);

/* In a fork's child: who was in `come` is not there, and it has to be done again. */
void late_fork_child(void);

#endif
