/* SPDX-License-Identifier: MIT */
/* On other processors libc's syscall() must do, which few preloads change. */
#include "system/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SETBACK_MS = 60000 }; /* longer than between two threads that read the clock at once */

static struct {
	_Atomic int64_t shift;  /* how far the process was set back, in ms */
	_Atomic int64_t latest; /* returned by clock_now_ms */
} clock_state;

/* A system call with two arguments. Returns what the kernel does: below 0 is an error. */
static long call(long number, long a, long b)
{
#if defined(__x86_64__)
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long which __asm__("x8") = number;
	register long first __asm__("x0") = a;
	register long second __asm__("x1") = b;

	__asm__ volatile("svc 0" : "+r"(first) : "r"(which), "r"(second) : "memory");
	return first;
#else
	int saved = errno;
	long result = syscall(number, a, b);

	errno = saved;
	return result;
#endif
}

static struct timespec read_clock(clockid_t clock)
{
	struct timespec now = {0, 0};

	call(SYS_clock_gettime, clock, (long)&now);
	return now;
}

struct timespec clock_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_now_ms(void)
{
	struct timespec now = clock_now();
	/* [clock.shift, clock.latest] relaxed: plain numbers; a stale one makes a wait longer or shorter. */
	int64_t shift = atomic_load_explicit(&clock_state.shift, memory_order_relaxed), more;
	int64_t latest = atomic_load_explicit(&clock_state.latest, memory_order_relaxed);
	int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + shift;

	if (latest - now_ms > SETBACK_MS) {
		more = shift + latest - now_ms;
		if (atomic_compare_exchange_strong_explicit(
		            &clock_state.shift, &shift, more, memory_order_relaxed, memory_order_relaxed))
			now_ms = latest;
	}
	atomic_store_explicit(&clock_state.latest, now_ms, memory_order_relaxed);
	return (uint64_t)now_ms;
}

struct timespec clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

void clock_sleep_us(unsigned us)
{
	struct timespec moment = {us / 1000000, (long)(us % 1000000) * 1000};

	call(SYS_nanosleep, (long)&moment, (long)NULL);
}

pid_t clock_pid(void)
{
	return (pid_t)call(SYS_getpid, 0, 0);
}
