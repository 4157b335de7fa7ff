/* SPDX-License-Identifier: MIT */
/*
 * The functions beneath ours: the next object's in symbol order once real_init() has found them, the system
 * calls themselves before that. The table is written once, by the constructor, before the hooks that use it
 * are of any interest; a thread that still reads NULL makes the system call, which is right as well.
 */
#include "libc/real.h"

#include "system/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef void *(mmap_function)(void *, size_t, int, int, int, off_t);
typedef int(munmap_function)(void *, size_t);
typedef int(mprotect_function)(void *, size_t, int);
typedef int(pkey_mprotect_function)(void *, size_t, int, int);
typedef int(madvise_function)(void *, size_t, int);
typedef int(mlock_function)(const void *, size_t);
typedef int(prctl_function)(int, ...);
typedef int(unshare_function)(int);
typedef int(setns_function)(int, int);
typedef int(ioctl_function)(int, unsigned long, ...);
typedef ssize_t(process_madvise_function)(int, const struct iovec *, size_t, int, unsigned);
typedef int(dlclose_function)(void *);
typedef int(capset_function)(void *, const void *);
typedef int(setuid_function)(uid_t);
typedef int(seteuid_function)(uid_t);
typedef int(setreuid_function)(uid_t, uid_t);
typedef int(setresuid_function)(uid_t, uid_t, uid_t);
typedef int(mlock2_function)(const void *, size_t, unsigned);
typedef int(mlockall_function)(int);
typedef void *(mremap_function)(void *, size_t, size_t, int, ...);

/* [next] relaxed everywhere: a pointer to code that was there before the process; nothing is published. */
static struct {
	mmap_function *_Atomic mmap;
	munmap_function *_Atomic munmap;
	mprotect_function *_Atomic mprotect;
	pkey_mprotect_function *_Atomic pkey_mprotect;
	madvise_function *_Atomic madvise;
	mremap_function *_Atomic mremap;
	mlock_function *_Atomic mlock;
	mlock2_function *_Atomic mlock2;
	mlockall_function *_Atomic mlockall;
	prctl_function *_Atomic prctl;
	unshare_function *_Atomic unshare;
	setns_function *_Atomic setns;
	ioctl_function *_Atomic ioctl;
	process_madvise_function *_Atomic process_madvise;
	capset_function *_Atomic capset;
	dlclose_function *_Atomic dlclose;
	setuid_function *_Atomic setuid;
	seteuid_function *_Atomic seteuid;
	setreuid_function *_Atomic setreuid;
	setresuid_function *_Atomic setresuid;
} next;

#define NEXT(name) atomic_load_explicit(&next.name, memory_order_relaxed)
#define FIND_NEXT(name)                                                                                      \
	atomic_store_explicit(&next.name, (name##_function *)find(#name), memory_order_relaxed)

/* Whether it lies in this library. */
static bool is_own(const void *function)
{
	struct dl_find_object own, found;

	return _dl_find_object((void *)is_own, &own) == 0 && _dl_find_object((void *)function, &found) == 0 &&
	       own.dlfo_link_map == found.dlfo_link_map;
}

/*
 * The next object's function. RTLD_NEXT goes by who calls dlsym: where another preload, in front of us, has
 * taken that over, what comes next to it is our own. Then libc's has to do.
 */
static void *find(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name), *libc;

	if (found == NULL || !is_own(found))
		return found;
	libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	found = libc != NULL ? dlsym(libc, name) : NULL;
	return is_own(found) ? NULL : found;
}

void real_init(void)
{
	FIND_NEXT(mmap);
	FIND_NEXT(munmap);
	FIND_NEXT(mprotect);
	FIND_NEXT(pkey_mprotect);
	FIND_NEXT(madvise);
	FIND_NEXT(mremap);
	FIND_NEXT(mlock);
	FIND_NEXT(mlock2);
	FIND_NEXT(mlockall);
	FIND_NEXT(prctl);
	FIND_NEXT(unshare);
	FIND_NEXT(setns);
	FIND_NEXT(ioctl);
	FIND_NEXT(process_madvise);
	FIND_NEXT(capset);
	FIND_NEXT(dlclose);
	FIND_NEXT(setuid);
	FIND_NEXT(seteuid);
	FIND_NEXT(setreuid);
	FIND_NEXT(setresuid);
}

void *real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	mmap_function *function = NEXT(mmap);

	if (function != NULL)
		return function(address, bytes, protection, flags, fd, offset);
	return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

int real_munmap(void *address, size_t bytes)
{
	munmap_function *function = NEXT(munmap);

	return function != NULL ? function(address, bytes) : (int)syscall(SYS_munmap, address, bytes);
}

int real_mprotect(void *address, size_t bytes, int protection)
{
	mprotect_function *function = NEXT(mprotect);

	return function != NULL ? function(address, bytes, protection)
	                        : (int)syscall(SYS_mprotect, address, bytes, protection);
}

int real_pkey_mprotect(void *address, size_t bytes, int protection, int key)
{
	pkey_mprotect_function *function = NEXT(pkey_mprotect);

	if (key == -1)
		return real_mprotect(address, bytes, protection);
	return function != NULL ? function(address, bytes, protection, key)
	                        : (int)syscall(SYS_pkey_mprotect, address, bytes, protection, key);
}

int real_madvise(void *address, size_t bytes, int advice)
{
	madvise_function *function = NEXT(madvise);

	return function != NULL ? function(address, bytes, advice)
	                        : (int)syscall(SYS_madvise, address, bytes, advice);
}

int real_own_madvise(void *address, size_t bytes, int advice)
{
	if (!sandbox_is_tight())
		return real_madvise(address, bytes, advice);
	errno = EPERM;
	return -1;
}

void *real_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address)
{
	mremap_function *function = NEXT(mremap);

	if (function != NULL)
		return function(address, old_bytes, new_bytes, flags, new_address);
	return (void *)syscall(SYS_mremap, address, old_bytes, new_bytes, flags, new_address);
}

int real_mlock(const void *address, size_t bytes)
{
	mlock_function *function = NEXT(mlock);

	return function != NULL ? function(address, bytes) : (int)syscall(SYS_mlock, address, bytes);
}

int real_mlock2(const void *address, size_t bytes, unsigned flags)
{
	mlock2_function *function = NEXT(mlock2);

	return function != NULL ? function(address, bytes, flags)
	                        : (int)syscall(SYS_mlock2, address, bytes, flags);
}

int real_unshare(int flags)
{
	unshare_function *function = NEXT(unshare);

	return function != NULL ? function(flags) : (int)syscall(SYS_unshare, flags);
}

int real_setns(int fd, int type)
{
	setns_function *function = NEXT(setns);

	return function != NULL ? function(fd, type) : (int)syscall(SYS_setns, fd, type);
}

int real_capset(void *header, const void *data)
{
	capset_function *function = NEXT(capset);

	return function != NULL ? function(header, data) : (int)syscall(SYS_capset, header, data);
}

int real_ioctl(int fd, unsigned long request, void *argument)
{
	ioctl_function *function = NEXT(ioctl);

	return function != NULL ? function(fd, request, argument)
	                        : (int)syscall(SYS_ioctl, fd, request, argument);
}

ssize_t real_process_madvise(
        int process, const struct iovec *range, size_t ranges, int advice, unsigned flags)
{
	process_madvise_function *function = NEXT(process_madvise);

	return function != NULL ? function(process, range, ranges, advice, flags)
	                        : syscall(SYS_process_madvise, process, range, ranges, advice, flags);
}

int real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	prctl_function *function = NEXT(prctl);

	return function != NULL ? function(option, a, b, c, d) : (int)syscall(SYS_prctl, option, a, b, c, d);
}

int real_mlockall(int flags)
{
	mlockall_function *function = NEXT(mlockall);

	return function != NULL ? function(flags) : (int)syscall(SYS_mlockall, flags);
}

bool real_has(const char *function)
{
	bool found = dlsym(RTLD_DEFAULT, function) != NULL;

	if (!found)
		dlerror(); /* what is not there is no mistake of the program's */
	return found;
}

/* A system call would not do, and libc knows how a handler returns. Libraries that start before us may call. */
#define FIND_IN_TIME(name) (NEXT(name) != NULL ? NEXT(name) : (FIND_NEXT(name), NEXT(name)))

/* Another preload's dlsym may call it, while it is looked for: then what was to be closed stays open. */
int real_dlclose(void *library)
{
	static __thread bool is_finding;
	dlclose_function *function = NEXT(dlclose);

	if (function == NULL && !is_finding) {
		is_finding = true;
		function = FIND_IN_TIME(dlclose);
		is_finding = false;
	}
	return function != NULL ? function(library) : 0;
}

/* Nor would it here: libc has all threads change. */
int real_setuid(uid_t user)
{
	return FIND_IN_TIME(setuid)(user);
}

int real_seteuid(uid_t user)
{
	return FIND_IN_TIME(seteuid)(user);
}

int real_setreuid(uid_t real, uid_t effective)
{
	return FIND_IN_TIME(setreuid)(real, effective);
}

int real_setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return FIND_IN_TIME(setresuid)(real, effective, saved);
}

void *real_table(size_t bytes)
{
	int saved = errno;
	void *table;

	table = real_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	errno = saved;
	return table == MAP_FAILED ? NULL : table;
}

void real_table_free(void *table, size_t bytes)
{
	int saved = errno;

	real_munmap(table, bytes);
	errno = saved;
}
