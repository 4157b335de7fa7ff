/* SPDX-License-Identifier: MIT */
/* Call sites that are in no known allocator are remembered, as far as there is room: most programs have few. */
#include "adapter/late.h"

#include "adapter/sites.h"
#include "libc/elsewhere.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { STRANGERS = 256, HASH_SHIFT = 56, PROBES = 4 };

_Atomic int late_state;

static struct {
	bool (*come)(void); /* written by late_wait */
	_Atomic uintptr_t stranger[STRANGERS];
} late;

void late_wait(bool (*come)(void))
{
	late.come = come;
	/* [late.state] relaxed: the constructor runs before there is another thread. */
	atomic_store_explicit(&late_state, LATE_WAITING, memory_order_relaxed);
}

/* Where a call site is remembered, or will be: Fibonacci hashing (Knuth 6.4). */
static _Atomic uintptr_t *place_of(const void *caller)
{
	uint64_t first = (uint64_t)(uintptr_t)caller * 0x9e3779b97f4a7c15 >> HASH_SHIFT;

	for (uint64_t i = first; i < first + PROBES; i++) {
		/* [late.stranger] relaxed: each word is independent. */
		uintptr_t found = atomic_load_explicit(&late.stranger[i % STRANGERS], memory_order_relaxed);

		if (found == (uintptr_t)caller || found == 0)
			return &late.stranger[i % STRANGERS];
	}
	return &late.stranger[first];
}

static void run(void *unused)
{
	bool is_come;
	int was;

	(void)unused;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &was); /* it opens files */
	is_come = late.come();
	pthread_setcancelstate(was, NULL);
	/* [late.state] relaxed: `come` publishes itself what it has done. */
	atomic_store_explicit(&late_state, is_come ? LATE_COME : LATE_NEVER, memory_order_relaxed);
}

void late_look(const void *caller)
{
	_Atomic uintptr_t *place = place_of(caller);
	int saved = errno, from = LATE_WAITING;

	/* [late.stranger] relaxed: as in place_of. */
	if (atomic_load_explicit(place, memory_order_relaxed) == (uintptr_t)caller)
		return;
	if (!sites_is_known(caller))
		atomic_store_explicit(place, (uintptr_t)caller, memory_order_relaxed);
	/*
	 * [late.state] relaxed: the thread that succeeds is alone in `come`, and sees what the constructor has left.
	 */
	else if (atomic_compare_exchange_strong_explicit(
	                 &late_state, &from, LATE_COMING, memory_order_relaxed, memory_order_relaxed))
		elsewhere_run(run, NULL);
	errno = saved;
}

void late_fork_child(void)
{
	int from = LATE_COMING;

	/* [late.state] relaxed: the child has one thread. */
	atomic_compare_exchange_strong_explicit(
	        &late_state, &from, LATE_WAITING, memory_order_relaxed, memory_order_relaxed);
}
