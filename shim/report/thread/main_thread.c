/* SPDX-License-Identifier: MIT */
/*
 * When the thread ends, the kernel clears a word of libc's, meant for pthread_join(), and wakes one thread that waits
 * for it. So the statistics thread, once woken, wakes the others.
 */
#include "report/thread/main_thread.h"

#include "system/clock.h"
#include "libc/real.h"
#include "report/bell.h"
#include "report/thread/thread_end.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
	struct life life; /* main_thread_know writes it; the first thread's word stays mapped */
	bool was_asked;   /* the constructor has set cannot_wait */
	bool cannot_wait; /* for two words at once; later the statistics thread's */
} first;

void main_thread_know(void)
{
	/* Under valgrind, which warns of each system call that it does not know, this one is not tried. */
	if (!first.was_asked)
		first.cannot_wait = real_has("_vgnU_freeres");
	first.was_asked = true;
	thread_end_know(&first.life);
}

void main_thread_forget(void)
{
	first.life.word = NULL;
}

bool main_thread_has_ended(void)
{
	/* [thread_end.word] acquire: pairs with the kernel's store; all that the thread did is visible. */
	return first.life.word != NULL &&
	       atomic_load_explicit(first.life.word, memory_order_acquire) != first.life.number;
}

/* The time `wait_ms` from now, on CLOCK_MONOTONIC. */
static struct timespec deadline(unsigned wait_ms)
{
	struct timespec until = clock_now();

	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

/* Needs Linux 5.16. Returns false if the kernel cannot do it. */
static bool wait_for_both(_Atomic uint32_t *bell, uint32_t seen, unsigned wait_ms)
{
	struct futex_waitv word[] = {
	        {.uaddr = (uintptr_t)bell, .val = seen, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG},
	        {.uaddr = (uintptr_t)first.life.word, .val = first.life.number, .flags = FUTEX_32},
	};
	struct timespec until = deadline(wait_ms);
	int error;

	error = (int)syscall(
	                SYS_futex_waitv, word, 2, 0, wait_ms == UINT_MAX ? NULL : &until, CLOCK_MONOTONIC) < 0
	                ? errno
	                : 0;
	if (main_thread_has_ended())
		syscall(SYS_futex, first.life.word, FUTEX_WAKE, INT_MAX);
	return error == 0 || error == EAGAIN || error == EINTR || error == ETIMEDOUT;
}

/* Reads the first thread's line in /proc: how many threads there are, and with which status that one ended. */
static bool read_end(long *threads, long *status)
{
	enum { STATE = 3, THREADS = 20, STATUS = 52 };
	char text[1024], *at;
	int fd, field = STATE;
	ssize_t got;

	snprintf(text, sizeof text, "/proc/self/task/%d/stat", (int)clock_pid());
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	at = strrchr(text, ')'); /* the name before it may hold anything */
	for (at = at != NULL ? at + 2 : NULL; at != NULL && field <= STATUS; field++) {
		if (field == THREADS)
			*threads = strtol(at, NULL, 10);
		if (field == STATUS)
			*status = strtol(at, NULL, 10);
		at = strchr(at, ' ');
		at += at != NULL;
	}
	return field >= STATUS;
}

void main_thread_follow(void)
{
	enum { FIRST_AND_OURS = 2 };
	long threads = 0, status = 0;

	if (main_thread_has_ended() && read_end(&threads, &status) && threads == FIRST_AND_OURS &&
	        (status & 0xff) == 0)
		syscall(SYS_exit, status >> 8);
}

void main_thread_wait(_Atomic uint32_t *bell, uint32_t seen, unsigned wait_ms)
{
	if (first.life.word != NULL && !first.cannot_wait) {
		if (wait_for_both(bell, seen, wait_ms))
			return;
		first.cannot_wait = true;
	}
	bell_wait(bell, seen, wait_ms);
}
