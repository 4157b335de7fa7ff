/* SPDX-License-Identifier: MIT */
/*
 * Each guard has a descriptor for a moment: a guard is set up once in a slot's life. Nobody must see the descriptor:
 * no fork is under way and no handler runs in this thread while it is open. The registration ends before the
 * descriptor is closed, so that a copy of it (by a bare system call) keeps nothing alive. System calls are bare here:
 * ioctl is hooked, and close is a cancellation point.
 */
#include "stack/poison.h"

#include "libc/real.h"
#include "system/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* From the header of Linux 6.6. */
struct poison_request {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated; /* bytes done, or -errno */
};

#define POISON_FEATURE ((uint64_t)1 << 14)
#define POISON_IOCTL   _IOWR(UFFDIO, 0x08, struct poison_request)

enum { KERNEL_SIGNALS = 64, YIELDS = 50, NAPS = 500, NAP_US = 1000 };

static struct {
	_Atomic uint32_t inside; /* threads that may have an open descriptor */
	_Atomic uint32_t forks;  /* begun and not ended */
} gate;

bool poison_is_in_kernel(void)
{
	struct utsname kernel;
	unsigned long major, minor;
	char *end;

	if (uname(&kernel) != 0)
		return false;
	major = strtoul(kernel.release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major > 6 || (major == 6 && minor >= 6);
}

/* ---- fork ---- */

static bool enter(void)
{
	/*
	 * [poison.inside, poison.forks] seq_cst: a thread that enters and one that forks cannot both miss the other.
	 */
	atomic_fetch_add_explicit(&gate.inside, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&gate.forks, memory_order_seq_cst) == 0)
		return true;
	atomic_fetch_sub_explicit(&gate.inside, 1, memory_order_seq_cst);
	return false;
}

static void leave(void)
{
	/* [poison.inside] seq_cst: as in enter; the descriptor is closed before. */
	atomic_fetch_sub_explicit(&gate.inside, 1, memory_order_seq_cst);
}

/*
 * Threads inside do leave: neither a handler nor a cancellation can end them there. The limit is for a vfork child
 * that was killed.
 */
void poison_fork_prepare(void)
{
	/* [poison.inside, poison.forks] seq_cst: as in enter. */
	atomic_fetch_add_explicit(&gate.forks, 1, memory_order_seq_cst);
	for (int i = 0; i < YIELDS + NAPS && atomic_load_explicit(&gate.inside, memory_order_seq_cst) != 0;
	        i++) {
		if (i < YIELDS)
			sched_yield();
		else
			clock_sleep_us(NAP_US);
	}
}

void poison_fork_parent(void)
{
	/* [poison.forks] seq_cst: as in enter. */
	atomic_fetch_sub_explicit(&gate.forks, 1, memory_order_seq_cst);
}

void poison_fork_child(void)
{
	/* [poison.inside, poison.forks] relaxed: the child has one thread. */
	atomic_store_explicit(&gate.inside, 0, memory_order_relaxed);
	atomic_store_explicit(&gate.forks, 0, memory_order_relaxed);
}

/* ---- guards ---- */

/* 0 or -errno. */
static int control(int fd, unsigned long request, void *argument)
{
	return syscall(SYS_ioctl, fd, request, argument) == 0 ? 0 : -errno;
}

static int poison_range(int fd, void *low, size_t bytes)
{
	struct uffdio_api api = {.api = UFFD_API, .features = POISON_FEATURE};
	struct uffdio_register registration = {
	        .range = {(uintptr_t)low, bytes}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	struct poison_request poison = {.range = {(uintptr_t)low, bytes}};
	int error = control(fd, UFFDIO_API, &api);

	if (error == 0)
		error = control(fd, UFFDIO_REGISTER, &registration);
	if (error != 0)
		return error;
	error = control(fd, POISON_IOCTL, &poison);
	control(fd, UFFDIO_UNREGISTER, &registration.range); /* makes the mapping whole again */
	if (error == 0 && poison.updated != (int64_t)bytes)
		error = -EAGAIN;
	return error;
}

/* Does so with a descriptor that is closed at the end. */
static int poison_alone(void *low, size_t bytes)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY), error;

	if (fd < 0)
		return -errno;
	error = poison_range(fd, low, bytes);
	syscall(SYS_close, fd);
	return error;
}

int poison_install(void *low, size_t bytes)
{
	uint64_t all = UINT64_MAX, before;
	int saved = errno, error;

	/*
	 * Linux 6.12 does not merge the parts of a split mapping if only one of them was ever touched. So all of it
	 * is touched, by a page that is dropped again.
	 */
	real_own_madvise(low, 1, MADV_POPULATE_WRITE);
	error = poison_remove(low, bytes); /* a page with contents cannot be poisoned */
	/* All signals, those that libc keeps for itself included. */
	if (error == 0 && syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGNALS / 8) != 0)
		error = -errno;
	if (error != 0) {
		errno = saved;
		return error;
	}
	error = -EAGAIN;
	if (enter()) {
		error = poison_alone(low, bytes);
		leave();
	}
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGNALS / 8);
	errno = saved;
	return error;
}

int poison_remove(void *low, size_t bytes)
{
	int saved = errno, error;

	error = real_own_madvise(low, bytes, MADV_DONTNEED) == 0 ? 0 : -errno;
	errno = saved;
	return error;
}
