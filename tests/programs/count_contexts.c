/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded: counts the calls of getcontext, one for each coroutine that QEMU makes, of
 * pthread_mutex_lock, and among these of those for the lock of QEMU's own pool of coroutines (from 9.0 on): one of
 * the addresses that qemu_coroutine_dec_pool_size names. When the program ends it writes the numbers to the files
 * that COUNT_CONTEXTS, COUNT_LOCKS and COUNT_POOL_LOCKS name.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { NAMED_MOST = 8, LOOK_BYTES = 96, LEA_BYTES = 7 };

static _Atomic unsigned contexts, locks, pool_locks;
static const void *named[NAMED_MOST]; /* by lea address(%rip), %register */
static int (*real_getcontext)(ucontext_t *context);
static int (*real_mutex_lock)(pthread_mutex_t *mutex);

static void look_at_pool(void)
{
	const unsigned char *code = dlsym(RTLD_DEFAULT, "qemu_coroutine_dec_pool_size");
	int32_t distance;

	for (unsigned at = 0, found = 0; code != NULL && at < LOOK_BYTES && found < NAMED_MOST; at++) {
		if ((code[at] & 0xfb) != 0x48 || code[at + 1] != 0x8d || (code[at + 2] & 0xc7) != 5)
			continue;
		memcpy(&distance, code + at + 3, sizeof distance);
		named[found++] = code + at + LEA_BYTES + distance;
	}
}

__attribute__((constructor)) static void look_up(void)
{
	look_at_pool();
	real_getcontext = (int (*)(ucontext_t *))dlsym(RTLD_NEXT, "getcontext");
	real_mutex_lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
}

/* A jump at the end and no call: what is saved is the caller's state. */
int getcontext(ucontext_t *context)
{
	atomic_fetch_add_explicit(&contexts, 1, memory_order_relaxed);
	return real_getcontext(context);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (real_mutex_lock == NULL)
		look_up();
	atomic_fetch_add_explicit(&locks, 1, memory_order_relaxed);
	for (unsigned i = 0; i < NAMED_MOST; i++) {
		if (named[i] == mutex)
			atomic_fetch_add_explicit(&pool_locks, 1, memory_order_relaxed);
	}
	return real_mutex_lock(mutex);
}

static void write_count(const char *variable, unsigned count)
{
	const char *path = getenv(variable);
	char text[32];
	int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;

	if (fd >= 0 && write(fd, text, snprintf(text, sizeof text, "%u\n", count)) < 0)
		perror(path);
}

__attribute__((destructor)) static void write_counts(void)
{
	write_count("COUNT_CONTEXTS", contexts);
	write_count("COUNT_LOCKS", locks);
	write_count("COUNT_POOL_LOCKS", pool_locks);
}
