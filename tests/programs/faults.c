/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded in front of libcopool.so: lets a call fail that libcopool.so makes of libc, and
 * none that the program makes.
 *
 *	FAULT_CALL	which: a wrapper's name below; or futex, ioctl, userfaultfd; or malloc, by libc in such a
 *call FAULT_ERRNO	how: that error, by number; 0: write and read do half of what they were asked to
 *	FAULT_AT	when: at the Nth of these calls in the program and its children, counted from 1
 *	FAULT_ON	if there is one: at all that follow as well
 *	FAULT_ALSO	another of these calls, which always fails
 *	FAULT_COUNT	a file of 8 bytes that counts these calls
 *
 * The table of addresses that libcopool.so calls libc by is changed before anything in there runs: the linker
 * lets this library's constructor come first. What the program asks for, and libcopool.so only passes on, is
 * neither counted nor made to fail; the functions at the end take note of it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One type for all: integers and pointers go the same way on all machines that are meant here. */
typedef long(function)(long a, long b, long c, long d, long e, long f);

enum { ARGUMENTS = 6 };

/* Name, and what it returns when it fails. */
#define CALLS(CALL)                                                                                          \
	CALL(__register_atfork, ENOMEM)                                                                      \
	CALL(_dl_find_object, -1)                                                                            \
	CALL(close, -1)                                                                                      \
	CALL(close_range, -1)                                                                                \
	CALL(dladdr1, 0)                                                                                     \
	CALL(fchmod, -1)                                                                                     \
	CALL(fcntl, -1)                                                                                      \
	CALL(fstat, -1)                                                                                      \
	CALL(getcontext, -1)                                                                                 \
	CALL(getcwd, 0)                                                                                      \
	CALL(getdents64, -1)                                                                                 \
	CALL(getrlimit, -1)                                                                                  \
	CALL(madvise, -1)                                                                                    \
	CALL(mincore, -1)                                                                                    \
	CALL(mmap, -1)                                                                                       \
	CALL(mprotect, -1)                                                                                   \
	CALL(mremap, -1)                                                                                     \
	CALL(munmap, -1)                                                                                     \
	CALL(open, -1)                                                                                       \
	CALL(poll, -1)                                                                                       \
	CALL(prctl, -1)                                                                                      \
	CALL(pread, -1)                                                                                      \
	CALL(pthread_attr_init, ENOMEM)                                                                      \
	CALL(pthread_attr_setdetachstate, EINVAL)                                                            \
	CALL(pthread_attr_setstacksize, EINVAL)                                                              \
	CALL(pthread_create, EAGAIN)                                                                         \
	CALL(pthread_key_create, EAGAIN)                                                                     \
	CALL(pthread_setname_np, ERANGE)                                                                     \
	CALL(pthread_setspecific, ENOMEM)                                                                    \
	CALL(read, -1)                                                                                       \
	CALL(rename, -1)                                                                                     \
	CALL(sigpending, -1)                                                                                 \
	CALL(sigtimedwait, -1)                                                                               \
	CALL(stat, -1)                                                                                       \
	CALL(unlink, -1)                                                                                     \
	CALL(unshare, -1)                                                                                    \
	CALL(write, -1)

/* These fail in ways of their own. */
#define MORE_CALLS(CALL)                                                                                     \
	CALL(dlopen, 0)                                                                                      \
	CALL(dlsym, 0)                                                                                       \
	CALL(syscall, -1)

#define NUMBER(name, failure) CALL_##name,
enum call {
	CALLS(NUMBER) MORE_CALLS(NUMBER) CALL_futex,
	CALL_ioctl,
	CALL_userfaultfd,
	CALL_malloc,
	CALL_COUNT
};

#define NAME(name, failure) [CALL_##name] = #name,
static const char *const names[CALL_COUNT] = {CALLS(NAME) MORE_CALLS(NAME)[CALL_futex] = "futex",
        [CALL_ioctl] = "ioctl", [CALL_userfaultfd] = "userfaultfd", [CALL_malloc] = "malloc"};

static struct {
	enum call call, also; /* CALL_COUNT: none */
	int error;
	uint64_t at;
	bool goes_on;
	_Atomic uint64_t *count;
} fault = {.call = CALL_COUNT, .also = CALL_COUNT};

static function *original[CALL_COUNT];

/* The calling thread's last request of the program's, and how many calls of libcopool.so it is in. */
static __thread struct {
	enum call call;
	long argument[ARGUMENTS];
} noted = {.call = CALL_COUNT};
static __thread unsigned depth;

/* How many arguments tell one request of the program's from another; 0: it makes none. */
static size_t noted_arguments(enum call call)
{
	switch (call) {
	case CALL_mmap:
		return 6;
	case CALL_prctl:
		return 5;
	case CALL_mremap:
		return 4;
	case CALL_mprotect:
	case CALL_madvise:
		return 3;
	case CALL_munmap:
		return 2;
	default:
		return 0;
	}
}

static bool is_passed_on(enum call call, const long *argument)
{
	size_t arguments = noted_arguments(call);

	return arguments > 0 && noted.call == call &&
	       memcmp(noted.argument, argument, arguments * sizeof *argument) == 0;
}

static bool is_due(enum call call, const long *argument)
{
	uint64_t number;

	if (call == fault.also) {
		errno = fault.error;
		return true;
	}
	if (call != fault.call || (argument != NULL && is_passed_on(call, argument)))
		return false;
	number = atomic_fetch_add_explicit(fault.count, 1, memory_order_relaxed) + 1;
	if (number != fault.at && !(fault.goes_on && number > fault.at))
		return false;
	errno = fault.error;
	return true;
}

#define WRAPPER(name, failure)                                                                               \
	static long fault_##name(long a, long b, long c, long d, long e, long f)                             \
	{                                                                                                    \
		long argument[ARGUMENTS] = {a, b, c, d, e, f}, result;                                       \
                                                                                                             \
		if (is_due(CALL_##name, argument)) {                                                         \
			if (fault.error != 0)                                                                \
				return failure;                                                              \
			c /= 2;                                                                              \
		}                                                                                            \
		depth++;                                                                                     \
		result = original[CALL_##name](a, b, c, d, e, f);                                            \
		depth--;                                                                                     \
		return result;                                                                               \
	}
CALLS(WRAPPER)

/* By looking for what is not there, so that dlerror has something to say. */
static void *fault_dlopen(const char *path, int flags)
{
	void *library;

	depth++;
	library = dlopen(is_due(CALL_dlopen, NULL) ? "/there/is/no/such/library.so" : path, flags);
	depth--;
	return library;
}

static long fault_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	enum call call = number == SYS_futex || number == SYS_futex_waitv ? CALL_futex
	                 : number == SYS_ioctl                            ? CALL_ioctl
	                 : number == SYS_userfaultfd                      ? CALL_userfaultfd
	                                                                  : CALL_syscall;

	if (is_due(call, NULL))
		return -1;
	return syscall(number, a, b, c, d, e, f);
}

static void *fault_dlsym(void *handle, const char *name);

#define ADDRESS(name, failure) [CALL_##name] = (void *)fault_##name,
static void *const wrappers[CALL_COUNT] = {CALLS(ADDRESS) MORE_CALLS(ADDRESS)};

static enum call find(const char *name)
{
	enum call call = 0;

	while (call < CALL_COUNT && strcmp(names[call], name) != 0)
		call++;
	return call;
}

/* What lies beneath libcopool.so is libc. */
static void *fault_dlsym(void *handle, const char *name)
{
	enum call call = find(name);
	void *found;

	if (is_due(CALL_dlsym, NULL))
		return NULL;
	if (handle == RTLD_NEXT) {
		handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
		found = dlsym(handle, name);
		dlclose(handle);
	} else {
		found = dlsym(handle, name);
	}
	if (call == CALL_COUNT || found == NULL)
		return found;
	original[call] = (function *)found;
	return wrappers[call];
}

/* ---- libcopool.so's table ---- */

struct library {
	const ElfW(Rela) * jumps;
	size_t jump_bytes;
	const ElfW(Sym) * symbols;
	const char *strings;
};

static struct library library_of(const struct dl_phdr_info *object)
{
	const ElfW(Dyn) *entry = NULL;
	struct library library = {0};

	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			entry = (void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
	}
	for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_JMPREL)
			library.jumps = (void *)entry->d_un.d_ptr;
		else if (entry->d_tag == DT_PLTRELSZ)
			library.jump_bytes = entry->d_un.d_val;
		else if (entry->d_tag == DT_SYMTAB)
			library.symbols = (void *)entry->d_un.d_ptr;
		else if (entry->d_tag == DT_STRTAB)
			library.strings = (void *)entry->d_un.d_ptr;
	}
	return library;
}

static void take_over(void **place, const char *name)
{
	uintptr_t page = (uintptr_t)place & -4096;
	enum call call = find(name);

	if (call == CALL_COUNT || wrappers[call] == NULL)
		return;
	if (syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE) != 0)
		_exit(120);
	original[call] = (function *)*place;
	*place = wrappers[call];
}

static int visit(struct dl_phdr_info *object, size_t bytes, void *unused)
{
	const char *slash = strrchr(object->dlpi_name, '/');
	struct library library;

	(void)bytes;
	(void)unused;
	if (slash == NULL || strcmp(slash, "/libcopool.so") != 0)
		return 0;
	library = library_of(object);
	for (size_t i = 0; i < library.jump_bytes / sizeof *library.jumps; i++) {
		const ElfW(Sym) *symbol = &library.symbols[ELF64_R_SYM(library.jumps[i].r_info)];

		take_over((void **)(object->dlpi_addr + library.jumps[i].r_offset),
		        library.strings + symbol->st_name);
	}
	return 1;
}

/* So early libc has no environment yet. */
static const char *setting(char **variables, const char *name)
{
	size_t bytes = strlen(name);

	for (; *variables != NULL; variables++) {
		if (strncmp(*variables, name, bytes) == 0 && (*variables)[bytes] == '=')
			return *variables + bytes + 1;
	}
	return NULL;
}

__attribute__((constructor)) static void begin(int argc, char **argv, char **variables)
{
	const char *call = setting(variables, "FAULT_CALL"), *path = setting(variables, "FAULT_COUNT");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	(void)argc;
	(void)argv;
	if (fd < 0 || call == NULL)
		return;
	fault.count = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	fault.call = find(call);
	fault.error = atoi(setting(variables, "FAULT_ERRNO"));
	fault.at = strtoull(setting(variables, "FAULT_AT"), NULL, 10);
	fault.also = setting(variables, "FAULT_ALSO") != NULL ? find(setting(variables, "FAULT_ALSO"))
	                                                      : CALL_COUNT;
	fault.goes_on = setting(variables, "FAULT_ON") != NULL;
	if (fault.call == CALL_COUNT || dl_iterate_phdr(visit, NULL) != 1)
		_exit(121);
}

/* ---- in front of the program ---- */

extern void *__libc_malloc(size_t bytes), *__libc_calloc(size_t count, size_t bytes),
        *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
	return depth > 0 && is_due(CALL_malloc, NULL) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	return depth > 0 && is_due(CALL_malloc, NULL) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
	return depth > 0 && is_due(CALL_malloc, NULL) ? NULL : __libc_realloc(old, bytes);
}

static function *note(enum call call, const char *name, long a, long b, long c, long d, long e, long f)
{
	noted.call = call;
	memcpy(noted.argument, (long[]){a, b, c, d, e, f}, sizeof noted.argument);
	return (function *)dlsym(RTLD_NEXT, name);
}

/* They end in a jump, not in a call: who calls is still the program. */
#define IN_FRONT(name, call)                                                                                 \
	long front_##name(long a, long b, long c, long d, long e, long f) __asm__(#name);                    \
	long front_##name(long a, long b, long c, long d, long e, long f)                                    \
	{                                                                                                    \
		return note(call, #name, a, b, c, d, e, f)(a, b, c, d, e, f);                                \
	}
IN_FRONT(mmap, CALL_mmap)
IN_FRONT(mmap64, CALL_mmap)
IN_FRONT(munmap, CALL_munmap)
IN_FRONT(mprotect, CALL_mprotect)
IN_FRONT(mremap, CALL_mremap)
IN_FRONT(madvise, CALL_madvise)
IN_FRONT(prctl, CALL_prctl)
