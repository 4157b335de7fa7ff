/* Setting up guard pages, and taking them down. */
#include "stack/guard.h"

#include "libc/clock.h"
#include "libc/real.h"
#include "libc/sandbox.h"
#include "stack/poison.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

static int advise(void *low, size_t bytes, int advice)
{
	int saved = errno, error;

	error = real_own_madvise(low, bytes, advice) == 0 ? 0 : -errno;
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

/* Whether nobody can read at `address`, without a signal; false also when that cannot be found out. */
static bool is_unreadable(void *address)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {address, 1};
	int saved = errno;
	bool unreadable = process_vm_readv(clock_pid(), &here, 1, &there, 1, 0) < 0 && errno == EFAULT;

	errno = saved;
	return unreadable;
}

/*
 * Whether a guard of these means can be set up and taken down. What the kernel promises for madvise need not
 * be tried by touching it; poison must prove itself.
 */
static bool is_working(enum guard_means means)
{
	size_t bytes = sysconf(_SC_PAGESIZE);
	char *pages = real_table(3 * bytes), *guard;
	bool works = false;

	if (pages == NULL)
		return false;
	guard = pages + bytes;
	if (guard_install(means, guard, bytes) == (int)means) {
		works = means != GUARD_POISON ||
		        (is_unreadable(guard) && !is_unreadable(pages) && !is_unreadable(guard + bytes));
		works = guard_remove(means, guard, bytes, PROT_READ | PROT_WRITE) == 0 && works;
	}
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
	if (means == GUARD_POISON && !sandbox_is_tight() && poison_install(low, bytes) == 0)
		return GUARD_POISON;
	error = protect(low, bytes, PROT_NONE);
	return error == 0 ? (int)GUARD_MPROTECT : error;
}

int guard_remove(enum guard_means means, void *low, size_t bytes, int protection)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, saved = errno, error;

	if (means == GUARD_MPROTECT)
		return protect(low, bytes, protection);
	if ((means == GUARD_MADVISE ? advise(low, bytes, MADV_GUARD_REMOVE) : poison_remove(low, bytes)) == 0)
		return 0;
	/* A sandbox that the program has put itself into may refuse that; there is nothing in these pages. */
	error = real_mmap(low, bytes, protection, flags, -1, 0) == MAP_FAILED ? -errno : 0;
	errno = saved;
	return error;
}

int guard_settle(enum guard_means means, void *low, size_t bytes)
{
	int error;

	if (means == GUARD_MPROTECT)
		return 0;
	error = protect(low, bytes, PROT_NONE);
	return error == 0 ? guard_remove(means, low, bytes, PROT_NONE) : error;
}

void guard_sweep(enum guard_means means, void *low, size_t bytes)
{
	if (means == GUARD_MADVISE)
		advise(low, bytes, MADV_GUARD_REMOVE);
}
