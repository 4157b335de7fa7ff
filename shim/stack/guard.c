/* SPDX-License-Identifier: MIT */
/* Guard pages, set up and removed. */
#include "stack/guard.h"

#include "libc/real.h"
#include "stack/poison.h"
#include "system/clock.h"
#include "system/sandbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
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

/* Asks the kernel to fetch a page as a read would. 0 or -errno. */
static int read_page(void *page)
{
	return advise(page, 1, MADV_POPULATE_READ);
}

/*
 * Whether such a guard can be set up and removed. The kernel's answers do not prove it: an emulation of the kernel,
 * or a sandbox, may return 0 for advice that it does not know.
 */
static bool is_working(enum guard_means means, char *guard, size_t bytes)
{
	int is_denied;

	if (guard_install(means, guard, bytes) != (int)means)
		return false;
	is_denied = read_page(guard);
	if (guard_remove(means, guard, bytes, PROT_READ | PROT_WRITE) != 0)
		return false;
	if (means == GUARD_MADVISE)
		return is_denied == -EFAULT;
	return (is_denied == -EHWPOISON || is_denied == -EFAULT) && read_page(guard) == 0;
}

/* Whether advice to drop a page drops its contents. */
static bool is_dropping(volatile char *page, size_t bytes)
{
	*page = 1;
	return advise((char *)page, bytes, MADV_DONTNEED) == 0 && *page == 0;
}

/*
 * Valgrind has a table of its own for such guards, and ends a program with more than a few thousand. Its client
 * requests, instructions without effect elsewhere, tell whether it runs us; their form has never changed.
 */
static bool is_under_valgrind(void)
{
	const uint64_t request[6] = {0x1001}; /* VG_USERREQ__RUNNING_ON_VALGRIND, without arguments */
	uint64_t answer = 0;
#if defined(__x86_64__)

	__asm__ volatile("rolq $3, %%rdi\n\t rolq $13, %%rdi\n\t rolq $61, %%rdi\n\t rolq $51, %%rdi\n\t"
	                 "xchgq %%rbx, %%rbx"
	                 : "+d"(answer)
	                 : "a"(request)
	                 : "cc", "memory");
#elif defined(__aarch64__)
	register uint64_t result __asm__("x3") = 0;
	register const uint64_t *from __asm__("x4") = request;

	__asm__ volatile(
	        "ror x12, x12, #3\n\t ror x12, x12, #13\n\t ror x12, x12, #51\n\t ror x12, x12, #61\n\t"
	        "orr x10, x10, x10"
	        : "+r"(result)
	        : "r"(from)
	        : "cc", "memory");
	answer = result;
#else
	(void)request;
#endif
	return answer != 0;
}

enum guard_means guard_probe(enum guard_means wanted, bool *can_drop)
{
	size_t bytes = sysconf(_SC_PAGESIZE);
	char *pages = real_table(3 * bytes);
	enum guard_means means = GUARD_MPROTECT;
	bool drops = pages != NULL && is_dropping(pages, bytes);

	if (can_drop != NULL)
		*can_drop = drops;
	if (pages == NULL)
		return GUARD_MPROTECT;
	if (((wanted == GUARD_AUTO && !is_under_valgrind()) || wanted == GUARD_MADVISE) &&
	        is_working(GUARD_MADVISE, pages + bytes, bytes))
		means = GUARD_MADVISE;
	if (wanted == GUARD_POISON && drops && is_working(GUARD_POISON, pages + bytes, bytes))
		means = GUARD_POISON;
	real_table_free(pages, 3 * bytes);
	return means;
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
	/* The program's own sandbox may refuse that. There is nothing in these pages. */
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
