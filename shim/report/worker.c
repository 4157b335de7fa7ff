/* A thread that the host hardly notices: a small stack, no signals. */
#include "report/worker.h"

#include <link.h>
#include <pthread.h>
#include <signal.h>

enum { STACK_BYTES = 128 << 10, PAGE_BYTES_MAX = 64 << 10 };

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

int worker_start(void *(*run)(void *), size_t stack_bytes)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return -error;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, stack_bytes);
	error = pthread_create(&thread, &attributes, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}
