/* A thread that the host hardly notices: a small stack, no signals. */
#include "report/worker.h"

#include "libc/elsewhere.h"
#include "libc/real.h"

#include <link.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

enum { STACK_BYTES = 128 << 10, PAGE_BYTES_MAX = 64 << 10, FIRST_FD = 3 };

static int add_storage(struct dl_phdr_info *object, size_t size, void *bytes)
{
	(void)size;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		if (object->dlpi_phdr[i].p_type == PT_TLS)
			*(size_t *)bytes += object->dlpi_phdr[i].p_memsz + object->dlpi_phdr[i].p_align;
	}
	return 0;
}

size_t worker_stack_bytes(void)
{
	size_t storage = 0;

	dl_iterate_phdr(add_storage, &storage);
	return STACK_BYTES + (storage + PAGE_BYTES_MAX - 1) / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
}

/* What a thread is made of, and what came of it. */
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
	/* What is blocked stays so in the new thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	making->error = pthread_create(&thread, &attributes, making->run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
}

int worker_start(void *(*run)(void *), size_t stack_bytes)
{
	struct making making = {run, stack_bytes, 0};

	elsewhere_run(make, &making);
	return -making.error;
}

bool worker_leave_files(bool is_wanted)
{
	bool is_private = close_range(FIRST_FD, ~0U, CLOSE_RANGE_UNSHARE) == 0;

	real_unshare(CLONE_FS);
	if (!is_private)
		return false;
	close(STDIN_FILENO);
	if (!is_wanted)
		close(STDOUT_FILENO);
	return true;
}
