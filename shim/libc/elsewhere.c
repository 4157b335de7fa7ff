/* SPDX-License-Identifier: MIT */
/* The thread that has taken `elsewhere` owns it. */
#include "libc/elsewhere.h"

#include "libc/real.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(signal) ((uint64_t)1 << ((signal)-1))

enum { STACK_BYTES = 64 << 10 }; /* another malloc may need much of it */

static struct {
	bool is_there; /* written by elsewhere_init */
	_Atomic bool is_taken;
	char stack[STACK_BYTES] __attribute__((aligned(16)));
} elsewhere;

void elsewhere_init(void)
{
	/* Valgrind reports a stack that it does not know as a mistake of the program's. */
	elsewhere.is_there = !real_has("_vgnU_freeres");
}

/*
 * Calls `run(argument)` on the stack that ends at `top`. False: not on this processor. makecontext() is avoided
 * because tools count coroutines by it.
 */
static __attribute__((noinline)) bool call_on(char *top, void (*run)(void *argument), void *argument)
{
	/*
	 * Makes the compiler address its frame by a register that keeps its value, so that debuggers find the frame
	 * too.
	 */
	volatile size_t bytes = 16;
	char *volatile frame = __builtin_alloca(bytes);

	(void)frame;
#if defined(__x86_64__)
	__asm__ volatile("movq %%rsp, %%rbx\n\t"
	                 "movq %[top], %%rsp\n\t"
	                 "callq *%[run]\n\t"
	                 "movq %%rbx, %%rsp"
	                 : "+D"(argument), [top] "+r"(top), [run] "+r"(run)
	                 :
	                 : "rbx", "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm0", "xmm1",
	                 "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
	                 "xmm12", "xmm13", "xmm14", "xmm15", "st", "cc", "memory");
	return true;
#elif defined(__aarch64__)
	register void *first __asm__("x0") = argument;

	__asm__ volatile("mov x19, sp\n\t"
	                 "mov sp, %[top]\n\t"
	                 "blr %[run]\n\t"
	                 "mov sp, x19"
	                 : "+r"(first), [top] "+r"(top), [run] "+r"(run)
	                 :
	                 : "x19", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
	                 "x13", "x14", "x15", "x16", "x17", "x18", "x30", "v0", "v1", "v2", "v3", "v4", "v5",
	                 "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
	                 "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
	                 "v30", "v31", "cc", "memory");
	return true;
#else
	(void)top;
	(void)run;
	(void)argument;
	return false;
#endif
}

void elsewhere_run(void (*run)(void *argument), void *argument)
{
	/*
	 * The kernel's signal sets: libc's are sixteen times as large. libc's own two signals get through, as in its
	 * own functions, and so do faults, which must not be blocked.
	 */
	uint64_t faults = BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP);
	uint64_t all = ~(((uint64_t)3 << 31) | faults), before = 0;
	bool is_done = false;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	/* [elsewhere.is_taken] acquire, release: what the last owner left; other threads do without it. */
	if (elsewhere.is_there &&
	        !atomic_exchange_explicit(&elsewhere.is_taken, true, memory_order_acquire)) {
		is_done = call_on(elsewhere.stack + sizeof elsewhere.stack, run, argument);
		atomic_store_explicit(&elsewhere.is_taken, false, memory_order_release);
	}
	if (!is_done)
		run(argument);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

struct call {
	void *(*function)(const void *argument);
	const void *argument;
	void *result;
};

static void make_call(void *argument)
{
	struct call *call = argument;

	call->result = call->function(call->argument);
}

void *elsewhere_call(void *(*function)(const void *argument), const void *argument)
{
	struct call call = {function, argument, NULL};

	elsewhere_run(make_call, &call);
	return call.result;
}

void elsewhere_fork_child(void)
{
	/* [elsewhere.is_taken] relaxed: the child has one thread. */
	atomic_store_explicit(&elsewhere.is_taken, false, memory_order_relaxed);
}
