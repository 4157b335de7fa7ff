/* Setting up guard pages, and taking them down. */
#include "stack/guard.h"

#include "libc/real.h"

#include <errno.h>
#include <sys/mman.h>
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

enum guard_means guard_probe(enum guard_means wanted)
{
	size_t bytes = sysconf(_SC_PAGESIZE);
	bool works = false;
	void *page;

	if (wanted == GUARD_MPROTECT)
		return wanted;
	page = real_table(bytes);
	if (page != NULL) {
		works = advise(page, bytes, MADV_GUARD_INSTALL) == 0 &&
		        advise(page, bytes, MADV_GUARD_REMOVE) == 0;
		real_table_free(page, bytes);
	}
	return works ? GUARD_MADVISE : GUARD_MPROTECT;
}

int guard_install(enum guard_means means, void *low, size_t bytes)
{
	int error;

	if (means == GUARD_MADVISE && advise(low, bytes, MADV_GUARD_INSTALL) == 0)
		return GUARD_MADVISE;
	error = protect(low, bytes, PROT_NONE);
	return error == 0 ? (int)GUARD_MPROTECT : error;
}

int guard_remove(enum guard_means means, void *low, size_t bytes, int protection)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, saved = errno;

	if (means != GUARD_MADVISE)
		return protect(low, bytes, protection);
	if (advise(low, bytes, MADV_GUARD_REMOVE) == 0)
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

	if (means != GUARD_MADVISE)
		return 0;
	error = protect(low, bytes, PROT_NONE);
	return error == 0 ? guard_remove(GUARD_MADVISE, low, bytes, PROT_NONE) : error;
}
