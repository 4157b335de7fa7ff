/* The gate between slow paths and fork. Its state is one per process, as fork is. */
#include "pool/gate.h"

#include <sched.h>
#include <time.h>

struct gate gate;

bool gate_enter(struct thread *thread)
{
	_Atomic uint32_t *inside = thread != NULL ? &thread->inside : &gate.visitors;

	/* [gate.inside] seq_cst: before the read of `closed`; pairs with gate_close. */
	atomic_fetch_add_explicit(inside, 1, memory_order_seq_cst);
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
		/* [gate.inside] release: as in gate_set_inside, of a word with many writers. */
		atomic_fetch_sub_explicit(&gate.visitors, 1, memory_order_release);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits until nobody is inside, or until the deadline; false then. */
static bool gate_wait(_Atomic uint32_t *inside, uint64_t deadline_ms)
{
	/* [gate.inside] seq_cst: after the write of `closed`, and sees what was done inside. */
	while (atomic_load_explicit(inside, memory_order_seq_cst) != 0) {
		if (now_ms() > deadline_ms)
			return false;
		sched_yield();
	}
	return true;
}

bool gate_close(void (*interrupt)(void))
{
	uint64_t deadline_ms = now_ms() + GATE_WAIT_MS;
	bool at_rest;

	/* [gate.closed] seq_cst: before the reads of `inside`; pairs with gate_enter. */
	atomic_fetch_add_explicit(&gate.closed, 1, memory_order_seq_cst);
	/* Visitors first: one of them may be starting a pool. */
	at_rest = gate_wait(&gate.visitors, deadline_ms);
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
	atomic_store_explicit(&gate.visitors, 0, memory_order_relaxed);
	atomic_store_explicit(&gate.closed, 0, memory_order_relaxed);
}
