/* `elsewhere` belongs to who has taken it. */
#include "libc/elsewhere.h"

#include "libc/real.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 64 << 10 }; /* whoever replaces malloc may want much of it */

static struct {
	bool is_there; /* written by elsewhere_init */
	_Atomic bool is_taken;
	void (*run)(void *argument);
	void *argument;
	ucontext_t program, ours;
	char stack[STACK_BYTES] __attribute__((aligned(16)));
} elsewhere;

void elsewhere_init(void)
{
	/* Valgrind takes a stack that it does not know for a mistake of the program's, and says so. */
	elsewhere.is_there = !real_has("_vgnU_freeres");
}

static void run_taken(void)
{
	elsewhere.run(elsewhere.argument);
}

/* False: nothing was run. */
static bool switch_over(void)
{
	if (getcontext(&elsewhere.ours) != 0)
		return false;
	elsewhere.ours.uc_stack.ss_sp = elsewhere.stack;
	elsewhere.ours.uc_stack.ss_size = sizeof elsewhere.stack;
	elsewhere.ours.uc_link = &elsewhere.program;
	makecontext(&elsewhere.ours, run_taken, 0);
	return swapcontext(&elsewhere.program, &elsewhere.ours) == 0;
}

void elsewhere_run(void (*run)(void *argument), void *argument)
{
	/*
	 * The kernel's sets: libc's are sixteen times as large. The two of libc's own get through, as with its own
	 * functions: a thread that is made here takes on what is blocked, and must not keep setuid() waiting.
	 */
	uint64_t all = ~((uint64_t)3 << 31), before = 0;
	bool is_done = false;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	/* [elsewhere.is_taken] acquire, release: what the last one left; who comes meanwhile does without. */
	if (elsewhere.is_there &&
	        !atomic_exchange_explicit(&elsewhere.is_taken, true, memory_order_acquire)) {
		elsewhere.run = run;
		elsewhere.argument = argument;
		is_done = switch_over();
		atomic_store_explicit(&elsewhere.is_taken, false, memory_order_release);
	}
	if (!is_done)
		run(argument);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

void elsewhere_fork_child(void)
{
	/* [elsewhere.is_taken] relaxed: the child has one thread. */
	atomic_store_explicit(&elsewhere.is_taken, false, memory_order_relaxed);
}
