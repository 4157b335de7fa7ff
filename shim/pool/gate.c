/* SPDX-License-Identifier: MIT */
/* The gate between slow paths and fork. There is one in a process, because fork is one of the process. */
#include "pool/gate.h"

#include "system/clock.h"

#include <pthread.h>
#include <sched.h>

struct gate gate;

/* No two living threads have the same number, and it is the same in a fork's child. */
static uintptr_t own_number(void)
{
	return (uintptr_t)pthread_self();
}

/*
 * One instruction that also says which thread it is. So a fork in a signal handler does not wait for the thread that
 * it interrupts, and the child knows what that thread still has to leave.
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

bool gate_enter(_Atomic uint32_t *inside)
{
	if (inside == NULL && !exchange_visitor(0, own_number()))
		return false;
	/* [gate.inside] seq_cst: before the read of `closed`; pairs with gate_wait. */
	if (inside != NULL)
		atomic_fetch_add_explicit(inside, 1, memory_order_seq_cst);
	/* [gate.closed] seq_cst: after the write of `inside`; pairs with gate_close. */
	if (atomic_load_explicit(&gate.closed, memory_order_seq_cst) == 0)
		return true;
	gate_leave(inside);
	return false;
}

void gate_leave(_Atomic uint32_t *inside)
{
	if (inside != NULL)
		gate_step_out(inside);
	else
		/* If a handler has visited too, this clears one of the thread's two entries: they are alike. */
		exchange_visitor(own_number(), 0);
}

void gate_close(void)
{
	/* [gate.closed] seq_cst: before the reads of `inside`; pairs with gate_enter. */
	atomic_fetch_add_explicit(&gate.closed, 1, memory_order_seq_cst);
}

/* Somebody was found inside. Returns whether to look again. */
static bool may_wait(uint64_t deadline_ms)
{
	if (clock_now_ms() > deadline_ms)
		return false;
	sched_yield();
	return true;
}

bool gate_wait(const _Atomic uint32_t *inside, uint64_t deadline_ms)
{
	/* [gate.inside] seq_cst: after the write of `closed`; acquires what was done inside. */
	while (atomic_load_explicit((_Atomic uint32_t *)inside, memory_order_seq_cst) != 0) {
		if (!may_wait(deadline_ms))
			return false;
	}
	return true;
}

static bool is_visited(_Atomic uintptr_t *visitor)
{
	/* [gate.inside] seq_cst: as in gate_wait. */
	uintptr_t found = atomic_load_explicit(visitor, memory_order_seq_cst);

	return found != 0 && found != own_number();
}

bool gate_wait_visitors(uint64_t deadline_ms)
{
	for (unsigned i = 0; i < GATE_VISITORS; i++) {
		while (is_visited(&gate.visitor[i])) {
			if (!may_wait(deadline_ms))
				return false;
		}
	}
	return true;
}

void gate_open(void)
{
	/* [gate.closed] release: fork's own work comes before. */
	atomic_fetch_sub_explicit(&gate.closed, 1, memory_order_release);
}

void gate_reset(void)
{
	/* [gate.closed, gate.inside] relaxed: the child has one thread. */
	for (unsigned i = 0; i < GATE_VISITORS; i++) {
		if (is_visited(&gate.visitor[i]))
			atomic_store_explicit(&gate.visitor[i], 0, memory_order_relaxed);
	}
	atomic_store_explicit(&gate.closed, 0, memory_order_relaxed);
}
