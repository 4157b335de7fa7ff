/* SPDX-License-Identifier: MIT */
/* The gate between slow paths and fork. Its state is one per process, as fork is. */
#include "pool/gate.h"

#include "system/clock.h"

#include <sched.h>

struct gate gate;

/*
 * By one instruction, which says who: so a fork in a handler that interrupts this thread waits for all others, and
 * its child knows what this thread still has to leave.
 */
static bool exchange_visitor(uintptr_t from, uintptr_t to)
{
	for (unsigned i = 0; i < GATE_VISITORS; i++) {
		/* [gate.inside] relaxed: a hint that the exchange checks again. */
		uintptr_t found = atomic_load_explicit(&gate.visitor[i], memory_order_relaxed);

		/* [gate.inside] seq_cst: as in gate_enter; it also releases what was done inside. */
		if (found == from && atomic_compare_exchange_strong_explicit(&gate.visitor[i], &found, to,
		                             memory_order_seq_cst, memory_order_relaxed))
			return true;
	}
	return false;
}

bool gate_enter(struct thread *thread)
{
	if (thread == NULL && !exchange_visitor(0, thread_number()))
		return false;
	/* [gate.inside] seq_cst: before the read of `closed`; pairs with gate_close. */
	if (thread != NULL)
		atomic_fetch_add_explicit(&thread->inside, 1, memory_order_seq_cst);
	/* [gate.closed] seq_cst: after the write of `inside`; pairs with gate_close. */
	if (atomic_load_explicit(&gate.closed, memory_order_seq_cst) == 0)
		return true;
	gate_leave(thread);
	return false;
}

void gate_leave(struct thread *thread)
{
	if (thread != NULL)
		gate_step_out(thread);
	else
		/* A handler's visit in between takes the first that it finds, and leaves the last. */
		exchange_visitor(thread_number(), 0);
}

/* After a look that has found somebody inside: whether to look again. */
static bool may_wait(uint64_t deadline_ms)
{
	if (clock_now_ms() > deadline_ms)
		return false;
	sched_yield();
	return true;
}

/* Wait until nobody is inside, or until the deadline; false then. */
static bool gate_wait(_Atomic uint32_t *inside, uint64_t deadline_ms)
{
	/* [gate.inside] seq_cst: after the write of `closed`, and sees what was done inside. */
	while (atomic_load_explicit(inside, memory_order_seq_cst) != 0) {
		if (!may_wait(deadline_ms))
			return false;
	}
	return true;
}

static bool is_visited(_Atomic uintptr_t *visitor)
{
	/* [gate.inside] seq_cst: as in gate_wait. */
	uintptr_t found = atomic_load_explicit(visitor, memory_order_seq_cst);

	return found != 0 && found != thread_number();
}

static bool wait_for_visitors(uint64_t deadline_ms)
{
	for (unsigned i = 0; i < GATE_VISITORS; i++) {
		while (is_visited(&gate.visitor[i])) {
			if (!may_wait(deadline_ms))
				return false;
		}
	}
	return true;
}

bool gate_close(void (*interrupt)(void))
{
	uint64_t deadline_ms = clock_now_ms() + GATE_WAIT_MS;
	bool at_rest;

	/* [gate.closed] seq_cst: before the reads of `inside`; pairs with gate_enter. */
	atomic_fetch_add_explicit(&gate.closed, 1, memory_order_seq_cst);
	/* Visitors first: one of them may be starting a pool. */
	at_rest = wait_for_visitors(deadline_ms);
	interrupt();
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t)) {
		if (!thread_is_own(t))
			at_rest = gate_wait(&t->inside, deadline_ms) && at_rest;
	}
	return at_rest;
}

void gate_open(void)
{
	/* [gate.closed] release: fork's own work comes before. */
	atomic_fetch_sub_explicit(&gate.closed, 1, memory_order_release);
}

void gate_reset(void)
{
	/* [gate.closed, gate.inside] relaxed: the child has one thread. */
	for (struct thread *t = thread_next(NULL); t != NULL; t = thread_next(t)) {
		if (!thread_is_own(t))
			atomic_store_explicit(&t->inside, 0, memory_order_relaxed);
	}
	for (unsigned i = 0; i < GATE_VISITORS; i++) {
		if (is_visited(&gate.visitor[i]))
			atomic_store_explicit(&gate.visitor[i], 0, memory_order_relaxed);
	}
	atomic_store_explicit(&gate.closed, 0, memory_order_relaxed);
}
