/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded, behind the shim: a system whose pages have PAGES_BYTES (65536) bytes. It says so, refuses
 * addresses that are not multiples of it, maps at such, and rounds up to whole ones. What libc maps by itself stays as
 * it is. The contents of /proc/self/pagemap would not fit, so that file cannot be opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <dlfcn.h>

enum { SMALLEST = 4096 };

static size_t page_bytes(void)
{
	static size_t bytes;
	const char *wanted;

	if (bytes == 0) {
		wanted = getenv("PAGES_BYTES");
		bytes = wanted != NULL ? strtoul(wanted, NULL, 10) : 65536;
	}
	return bytes;
}

static size_t round_up(size_t bytes)
{
	return (bytes + page_bytes() - 1) & ~(page_bytes() - 1);
}

static int is_aligned(const void *address)
{
	return (uintptr_t)address % page_bytes() == 0;
}

static int refuse(void)
{
	errno = EINVAL;
	return -1;
}

int getpagesize(void)
{
	return (int)page_bytes();
}

long sysconf(int name)
{
	static long (*original)(int);

	if (name == _SC_PAGESIZE)
		return (long)page_bytes();
	if (original == NULL)
		*(void **)&original = dlsym(RTLD_NEXT, "sysconf");
	return original(name);
}

unsigned long getauxval(unsigned long type)
{
	static unsigned long (*original)(unsigned long);

	if (type == AT_PAGESZ)
		return page_bytes();
	if (original == NULL)
		*(void **)&original = dlsym(RTLD_NEXT, "getauxval");
	return original(type);
}

/* Reserves whole pages at a multiple of a page. */
static char *reserve(size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	size_t all = bytes + page_bytes(), before, behind;
	char *made;

	if (all < bytes)
		return MAP_FAILED;
	made = (char *)syscall(SYS_mmap, NULL, all, PROT_NONE, flags, -1, 0);
	if (made == MAP_FAILED)
		return made;
	before = round_up((uintptr_t)made) - (uintptr_t)made;
	behind = all - before - bytes;
	if (before > 0)
		syscall(SYS_munmap, made, before);
	if (behind > 0)
		syscall(SYS_munmap, made + before + bytes, behind);
	return made + before;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	int is_fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
	size_t whole = (flags & MAP_ANONYMOUS) != 0 ? round_up(bytes) : bytes;
	char *place;
	void *made;

	if (bytes == 0 || offset % (off_t)page_bytes() != 0 || (is_fixed && !is_aligned(address))) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (is_fixed)
		return (void *)syscall(SYS_mmap, address, whole, protection, flags, fd, offset);
	place = reserve(round_up(bytes));
	if (place == MAP_FAILED)
		return place;
	made = (void *)syscall(SYS_mmap, place, whole, protection, flags | MAP_FIXED, fd, offset);
	if (made == MAP_FAILED) {
		int error = errno;

		syscall(SYS_munmap, place, round_up(bytes));
		errno = error;
	}
	return made;
}

void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
	return mmap(address, bytes, protection, flags, fd, offset);
}

int munmap(void *address, size_t bytes)
{
	return is_aligned(address) ? (int)syscall(SYS_munmap, address, round_up(bytes)) : refuse();
}

int mprotect(void *address, size_t bytes, int protection)
{
	return is_aligned(address) ? (int)syscall(SYS_mprotect, address, round_up(bytes), protection)
	                           : refuse();
}

int madvise(void *address, size_t bytes, int advice)
{
	return is_aligned(address) ? (int)syscall(SYS_madvise, address, round_up(bytes), advice) : refuse();
}

void *mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, ...)
{
	void *to = NULL, *moved;
	va_list arguments;

	va_start(arguments, flags);
	if ((flags & MREMAP_FIXED) != 0)
		to = va_arg(arguments, void *);
	va_end(arguments);
	old_bytes = round_up(old_bytes);
	new_bytes = round_up(new_bytes);
	if (!is_aligned(address) || !is_aligned(to)) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (flags != MREMAP_MAYMOVE)
		return (void *)syscall(SYS_mremap, address, old_bytes, new_bytes, flags, to);
	moved = (void *)syscall(SYS_mremap, address, old_bytes, new_bytes, 0);
	if (moved != MAP_FAILED)
		return moved;
	to = reserve(new_bytes);
	if (to == MAP_FAILED)
		return to;
	return (void *)syscall(SYS_mremap, address, old_bytes, new_bytes, flags | MREMAP_FIXED, to);
}

int mincore(void *address, size_t bytes, unsigned char *page)
{
	size_t parts = page_bytes() / SMALLEST;

	if (!is_aligned(address))
		return refuse();
	for (size_t i = 0; i < round_up(bytes) / page_bytes(); i++) {
		unsigned char part[1024];

		if (syscall(SYS_mincore, (char *)address + i * page_bytes(), page_bytes(), part) != 0)
			return -1;
		page[i] = 0;
		for (size_t j = 0; j < parts; j++)
			page[i] |= part[j] & 1;
	}
	return 0;
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	if (strcmp(path, "/proc/self/pagemap") == 0) {
		errno = EACCES;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
