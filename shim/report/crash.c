/* SPDX-License-Identifier: MIT */
/*
 * The handler runs once (SA_RESETHAND): the kernel has put the default back before it is entered. It says
 * what there is to say and sends the very same signal to its thread again, which takes it, with nothing in
 * its way any more, as soon as the handler has returned to the instruction that failed.
 *
 * SIGBUS is left out: a stack that overflows into a poisoned guard has no room for a handler, and the kernel
 * would make it a SIGSEGV.
 */
#include "report/crash.h"

#include "system/clock.h"
#include "libc/real.h"
#include "system/self.h"
#include "report/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Where our own code begins and ends; from the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

static const int signals[] = {SIGSEGV, SIGILL, SIGFPE};

static struct {
	bool (*is_moved)(uintptr_t address); /* written by crash_start */
	_Atomic pid_t thread;                /* ours, by its system-wide number; 0: none */
} crash;

static uintptr_t place_of(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (uintptr_t)context->uc_mcontext.pc;
#else
	return 0;
#endif
}

static bool is_our_thread(void)
{
	/* [crash.thread] relaxed: of interest to the thread that wrote it. */
	return atomic_load_explicit(&crash.thread, memory_order_relaxed) == gettid();
}

/* Our thread has none of the program's descriptors: it takes a copy of its standard error. */
static void borrow_stderr(void)
{
	int process = (int)syscall(SYS_pidfd_open, clock_pid(), 0);
	int copy = (int)syscall(SYS_pidfd_getfd, process, STDERR_FILENO, 0);

	if (copy >= 0)
		dup2(copy, STDERR_FILENO);
}

/* Says in words where a fault of ours was; false when it was none. */
static bool describe(uintptr_t place, char *text, size_t bytes)
{
	uintptr_t low = (uintptr_t)__ehdr_start;

	if (place >= low && place < (uintptr_t)etext)
		snprintf(text, bytes, "inside copool (libcopool.so+%#lx)", (unsigned long)(place - low));
	else if (crash.is_moved(place))
		snprintf(text, bytes, "in code that copool wrote or moved (%#lx)", (unsigned long)place);
	else if (is_our_thread())
		snprintf(text, bytes, "in copool's thread (%#lx)", (unsigned long)place);
	else
		return false;
	return true;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	char where[96], text[512];

	if (describe(place_of(context), where, sizeof where)) {
		snprintf(text, sizeof text,
		        "%.64s [%d] dies of SIG%s %s, version " COPOOL_VERSION
		        "; with COPOOL_HOST=off it runs without copool; please report this",
		        self_name(), (int)clock_pid(), sigabbrev_np(signal), where);
		if (is_our_thread() && fcntl(STDERR_FILENO, F_GETFD) < 0)
			borrow_stderr();
		log_complain(text);
	}
	syscall(SYS_rt_tgsigqueueinfo, clock_pid(), gettid(), signal, info);
	errno = saved;
}

static bool is_default(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL;
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_fault;
}

void crash_start(bool (*is_moved)(uintptr_t address))
{
	struct sigaction ours = {
	        .sa_sigaction = on_fault, .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_ONSTACK)};
	struct sigaction old;

	crash.is_moved = is_moved;
	sigemptyset(&ours.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		if (real_sigaction(signals[i], NULL, &old) == 0 && is_default(&old))
			real_sigaction(signals[i], &ours, NULL);
	}
}

void crash_know_thread(void)
{
	struct sigaction action;
	sigset_t faults;

	/* [crash.thread] relaxed: of interest to this thread alone. */
	atomic_store_explicit(&crash.thread, gettid(), memory_order_relaxed);
	/* A fault while its signal is blocked kills without a word. */
	sigemptyset(&faults);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		if (real_sigaction(signals[i], NULL, &action) == 0 && is_ours(&action))
			sigaddset(&faults, signals[i]);
	}
	pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
}

int hook_sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	int result = real_sigaction(signal, action, old);

	if (result == 0 && old != NULL && is_ours(old))
		memset(old, 0, sizeof *old); /* SIG_DFL, no flags, no mask: what crash_start() found */
	return result;
}

sighandler_t hook_handler(sighandler_t old)
{
	return (void *)old == (void *)on_fault ? SIG_DFL : old;
}
