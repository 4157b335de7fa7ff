/* SPDX-License-Identifier: MIT */
/* A thread that the program hardly notices: a small stack, no signals. */
#include "report/thread/own_thread.h"

#include "libc/elsewhere.h"
#include "libc/real.h"
#include "system/sandbox.h"

#include <link.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	STACK_BYTES = 128 << 10, /* without what lies above the thread's first frame */
	PAGE_BYTES_MAX = 64 << 10,
	REST_BYTES = 96 << 10,  /* below the first frame, given back by own_thread_rest */
	FRAMES_BYTES = 4 << 10, /* more than own_thread_rest and its callees use */
	REST_MS = 500,          /* a sleep long enough to be worth some page faults */
	FIRST_FD = 3,
};

static uintptr_t first_frame; /* the thread writes it when it begins */

static int add_storage(struct dl_phdr_info *object, size_t size, void *bytes)
{
	(void)size;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		if (object->dlpi_phdr[i].p_type == PT_TLS)
			*(size_t *)bytes += object->dlpi_phdr[i].p_memsz + object->dlpi_phdr[i].p_align;
	}
	return 0;
}

size_t own_thread_stack_bytes(void)
{
	size_t storage = 0;

	dl_iterate_phdr(add_storage, &storage);
	return STACK_BYTES + (storage + PAGE_BYTES_MAX - 1) / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
}

/* The arguments of pthread_create(), and its result. */
struct making {
	void *(*run)(void *);
	size_t stack_bytes;
	int error;
};

static void make(void *argument)
{
	struct making *making = argument;
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	making->error = pthread_attr_init(&attributes);
	if (making->error != 0)
		return;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, making->stack_bytes);
	/* The new thread inherits the mask. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	making->error = pthread_create(&thread, &attributes, making->run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
}

int own_thread_start(void *(*run)(void *), size_t stack_bytes)
{
	struct making making = {run, stack_bytes, 0};

	elsewhere_run(make, &making);
	return -making.error;
}

bool own_thread_leave_files(bool is_wanted)
{
	bool is_private;

	first_frame = (uintptr_t)__builtin_frame_address(0);
	is_private = close_range(FIRST_FD, ~0U, CLOSE_RANGE_UNSHARE) == 0;

	/* A folder that the thread stayed in could not be unmounted, though the program has left it. */
	if (real_unshare(CLONE_FS) == 0)
		syscall(SYS_chdir, "/");
	if (!is_private)
		return false;
	close(STDIN_FILENO);
	if (!is_wanted)
		close(STDOUT_FILENO);
	return true;
}

void own_thread_rest(unsigned wait_ms)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t low = (first_frame - REST_BYTES + page - 1) & ~(page - 1);
	uintptr_t high = ((uintptr_t)__builtin_frame_address(0) - FRAMES_BYTES) & ~(page - 1);

	/* Directly: another preload may have replaced madvise() by a function that needs more stack. */
	if (wait_ms >= REST_MS && low < high && high < first_frame && !sandbox_is_tight())
		syscall(SYS_madvise, low, high - low, MADV_DONTNEED);
}
