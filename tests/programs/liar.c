/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded, which changes what libc says of the time and of the process, as libfaketime does, and takes
 * dlsym over, as loaders of graphics libraries do.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__
#define FIRST_VERSION "GLIBC_2.2.5"
#else
#define FIRST_VERSION "GLIBC_2.17"
#endif

enum { YEAR_S = 365 * 86400 };

/* A year ago. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec -= YEAR_S;
	return result;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void)wanted;
	(void)left;
	return 0;
}

pid_t getpid(void)
{
	return 1;
}

void *dlsym(void *library, const char *name)
{
	static void *(*original)(void *, const char *);

	if (original == NULL)
		*(void **)&original = dlvsym(RTLD_NEXT, "dlsym", FIRST_VERSION);
	return original(library, name);
}
