/* SPDX-License-Identifier: MIT */
/*
 * The originals, made from the table in hooked.h. The constructor writes `next` once, before a hook does anything of its
 * own. A thread that still reads NULL makes the system call, which is right as well.
 */
#include "libc/real.h"

#include "libc/objects.h"
#include "system/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TYPE(real, exported, result, name, type, ...) typedef result(name##_function) type;
HOOKED(TYPE)

/* [next] relaxed everywhere: a pointer to code that was there before the process; nothing is published. */
static struct {
#define POINTER(real, exported, result, name, ...) name##_function *_Atomic name;
	HOOKED(POINTER)
} next;

#define NEXT(name) atomic_load_explicit(&next.name, memory_order_relaxed)
#define FIND_NEXT(name)                                                                                      \
	atomic_store_explicit(&next.name, (name##_function *)find(#name), memory_order_relaxed)

/* Whether it lies in this library. */
static bool is_own(const void *function)
{
	struct object own, found;

	return object_find((void *)is_own, &own) && object_find(function, &found) && own.map == found.map;
}

/*
 * Returns the next object's function. RTLD_NEXT depends on the object that calls dlsym(): if a preload in front of us
 * has replaced dlsym(), the next function is our own. Then libc's is taken.
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
#define FIND(real, exported, result, name, ...) FIND_NEXT(name);
	objects_init();
	HOOKED(FIND)
}

/* For what libraries that start before us may call, and a system call is not enough: libc changes all threads' users. */
#define FIND_IN_TIME(name) (NEXT(name) != NULL ? NEXT(name) : (FIND_NEXT(name), NEXT(name)))

#define LIST(...) __VA_ARGS__
#define REAL_SYSTEM(result, name, parameters, arguments)                                                     \
	result real_##name parameters                                                                        \
	{                                                                                                    \
		name##_function *function = NEXT(name);                                                      \
                                                                                                             \
		return function != NULL ? function arguments : (result)syscall(SYS_##name, LIST arguments);  \
	}
#define REAL_FOUND(result, name, parameters, arguments)                                                      \
	result real_##name parameters                                                                        \
	{                                                                                                    \
		return FIND_IN_TIME(name) arguments;                                                         \
	}
#define REAL_OWN(...)
#define REAL(real, exported, result, name, type, parameters, arguments)                                      \
	REAL_##real(result, name, parameters, arguments)
HOOKED(REAL)

int real_pkey_mprotect(void *address, size_t bytes, int protection, int key)
{
	pkey_mprotect_function *function = NEXT(pkey_mprotect);

	if (key == -1)
		return real_mprotect(address, bytes, protection);
	return function != NULL ? function(address, bytes, protection, key)
	                        : (int)syscall(SYS_pkey_mprotect, address, bytes, protection, key);
}

int real_own_madvise(void *address, size_t bytes, int advice)
{
	if (!sandbox_is_tight())
		return real_madvise(address, bytes, advice);
	errno = EPERM;
	return -1;
}

void *real_symbol(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	if (found == NULL)
		dlerror(); /* the program must not see our error */
	return found;
}

bool real_has(const char *function)
{
	return real_symbol(function) != NULL;
}

/* Another preload's dlsym() may call it while it is looked for. Then the library stays open. */
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
