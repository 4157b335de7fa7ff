/*
 * The kernel clears a word when that thread ends, and wakes one who waits for it; libc has the word from the
 * start, for pthread_join. So who is woken wakes the others.
 */
#include "report/first.h"

#include "libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static struct {
	_Atomic uint32_t *word; /* NULL: not known; written by first_know */
	uint32_t number;        /* what is there while the thread lives */
	bool was_asked;         /* in the constructor, once: whether … */
	bool cannot_wait;       /* … for two words at once; then the statistics thread's */
} first;

void first_know(void)
{
	_Atomic uint32_t *word = NULL;
	uint32_t number = (uint32_t)syscall(SYS_gettid);

	first.word = NULL;
	/* Valgrind prints a complaint of each system call that it does not know. */
	if (!first.was_asked)
		first.cannot_wait = real_has("_vgnU_freeres");
	first.was_asked = true;
	if (real_prctl(PR_GET_TID_ADDRESS, (unsigned long)&word, 0, 0, 0) != 0 || word == NULL)
		return;
	/* [first.word] relaxed: this thread is alive. */
	if (atomic_load_explicit(word, memory_order_relaxed) != number)
		return;
	first.number = number;
	first.word = word;
}

bool first_has_ended(void)
{
	/* [first.word] acquire: the kernel's; what the thread did is done. */
	return first.word != NULL && atomic_load_explicit(first.word, memory_order_acquire) != first.number;
}

/* Linux 5.16. False: that is not to be had. */
static bool wait_for_both(_Atomic uint32_t *bell, uint32_t seen, unsigned wait_ms)
{
	struct futex_waitv word[] = {
	        {.uaddr = (uintptr_t)bell, .val = seen, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG},
	        {.uaddr = (uintptr_t)first.word, .val = first.number, .flags = FUTEX_32},
	};
	struct timespec until;
	int error;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	error = (int)syscall(
	                SYS_futex_waitv, word, 2, 0, wait_ms == UINT_MAX ? NULL : &until, CLOCK_MONOTONIC) < 0
	                ? errno
	                : 0;
	if (first_has_ended())
		syscall(SYS_futex, first.word, FUTEX_WAKE, INT_MAX);
	return error == 0 || error == EAGAIN || error == EINTR || error == ETIMEDOUT;
}

/* Of a thread's line in /proc, which says of the first how many there are, and how it ended. */
static bool read_end(long *threads, long *status)
{
	enum { STATE = 3, THREADS = 20, STATUS = 52 };
	char text[1024], *at;
	int fd, field = STATE;
	ssize_t got;

	snprintf(text, sizeof text, "/proc/self/task/%d/stat", (int)getpid());
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	at = strrchr(text, ')'); /* what comes before may be anything */
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

void first_follow(void)
{
	enum { FIRST_AND_OURS = 2 };
	long threads = 0, status = 0;

	if (first_has_ended() && read_end(&threads, &status) && threads == FIRST_AND_OURS &&
	        (status & 0xff) == 0)
		syscall(SYS_exit, status >> 8);
}

void first_wait(_Atomic uint32_t *bell, uint32_t seen, unsigned wait_ms)
{
	struct timespec timeout = {wait_ms / 1000, (long)(wait_ms % 1000) * 1000000};

	if (first.word != NULL && !first.cannot_wait) {
		if (wait_for_both(bell, seen, wait_ms))
			return;
		first.cannot_wait = true;
	}
	syscall(SYS_futex, bell, FUTEX_WAIT_PRIVATE, seen, wait_ms == UINT_MAX ? NULL : &timeout);
}
