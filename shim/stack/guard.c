/* Setting up guard pages, and taking them down. */
#include "stack/guard.h"

#include "libc/real.h"
#include "stack/poison.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

static int advise(void *low, size_t bytes, int advice)
{
	int saved = errno, error;

	error = real_madvise(low, bytes, advice) == 0 ? 0 : -errno;
	errno = saved;
	return error;
}

static int protect(void *low, size_t bytes, int protection)
{
	int saved = errno, error;

	error = real_mprotect(low, bytes, protection) == 0 ? 0 : -errno;
	errno = saved;
	return error;
}

/*
 * Whether nobody can read at `address`, without a signal: the kernel is asked to read there for a call that
 * it then refuses.
 */
static bool is_unreadable(const void *address)
{
	int saved = errno;
	bool unreadable =
	        syscall(SYS_rt_sigprocmask, -1, address, NULL, sizeof(uint64_t)) != 0 && errno == EFAULT;

	errno = saved;
	return unreadable;
}

/* Whether a guard of these means can be set up, guards, and can be taken down. */
static bool is_working(enum guard_means means)
{
	size_t bytes = sysconf(_SC_PAGESIZE);
	char *pages = real_table(3 * bytes), *guard;
	bool works = false;

	if (pages == NULL)
		return false;
	guard = pages + bytes;
	if (guard_install(means, guard, bytes) == (int)means)
		works = is_unreadable(guard) && !is_unreadable(pages) && !is_unreadable(guard + bytes) &&
		        guard_remove(means, guard, bytes, PROT_READ | PROT_WRITE) == 0 &&
		        !is_unreadable(guard);
	real_table_free(pages, 3 * bytes);
	return works;
}

enum guard_means guard_probe(enum guard_means wanted)
{
	if ((wanted == GUARD_AUTO || wanted == GUARD_MADVISE) && is_working(GUARD_MADVISE))
		return GUARD_MADVISE;
	if ((wanted == GUARD_AUTO || wanted == GUARD_POISON) && is_working(GUARD_POISON))
		return GUARD_POISON;
	return GUARD_MPROTECT;
}

int guard_install(enum guard_means means, void *low, size_t bytes)
{
	int error;

	if (means == GUARD_MADVISE && advise(low, bytes, MADV_GUARD_INSTALL) == 0)
		return GUARD_MADVISE;
	if (means == GUARD_POISON && poison_install(low, bytes) == 0)
		return GUARD_POISON;
	error = protect(low, bytes, PROT_NONE);
	return error == 0 ? (int)GUARD_MPROTECT : error;
}

int guard_remove(enum guard_means means, void *low, size_t bytes, int protection)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, saved = errno;

	if (means == GUARD_MPROTECT)
		return protect(low, bytes, protection);
	if ((means == GUARD_MADVISE ? advise(low, bytes, MADV_GUARD_REMOVE) : poison_remove(low, bytes)) == 0)
		return 0;
	/* A sandbox that the program has put itself into may refuse that; there is nothing in these pages. */
	if (real_mmap(low, bytes, protection, flags, -1, 0) == MAP_FAILED)
		return -errno;
	errno = saved;
	return 0;
}

int guard_settle(enum guard_means means, void *low, size_t bytes)
{
	int error;

	if (means == GUARD_MPROTECT)
		return 0;
	error = protect(low, bytes, PROT_NONE);
	return error == 0 ? guard_remove(means, low, bytes, PROT_NONE) : error;
}
