/*
 * The names that we take from libc. One line each: the exported function, then hook_… in host/stacks.c, then
 * real_… in libc/real.c, so that nothing recurses by accident. Those about signals hide a handler of ours.
 */
#include "host/stacks.h"
#include "libc/real.h"
#include "report/crash.h"
#include "report/report.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return hook_mmap(address, bytes, protection, flags, fd, offset, __builtin_return_address(0));
}

EXPORT void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
	return hook_mmap(address, bytes, protection, flags, fd, offset, __builtin_return_address(0));
}

EXPORT int munmap(void *address, size_t bytes)
{
	return hook_munmap(address, bytes);
}

EXPORT int mprotect(void *address, size_t bytes, int protection)
{
	return hook_mprotect(address, bytes, protection);
}

EXPORT int pkey_mprotect(void *address, size_t bytes, int protection, int key)
{
	return hook_pkey_mprotect(address, bytes, protection, key);
}

EXPORT int madvise(void *address, size_t bytes, int advice)
{
	return hook_madvise(address, bytes, advice);
}

EXPORT int mlock(const void *address, size_t bytes)
{
	return hook_mlock(address, bytes);
}

EXPORT int mlock2(const void *address, size_t bytes, unsigned flags)
{
	return hook_mlock2(address, bytes, flags);
}

EXPORT int prctl(int option, ...)
{
	unsigned long argument[4];
	va_list arguments;

	va_start(arguments, option);
	for (int i = 0; i < 4; i++)
		argument[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	/* What a thread keeps of its capabilities, glibc cannot do to ours when the user changes, and aborts.
	 */
	if ((option == PR_SET_KEEPCAPS && argument[0] != 0) || option == PR_SET_SECUREBITS)
		report_withdraw("the program keeps capabilities while it changes its user");
	return hook_prctl(option, argument[0], argument[1], argument[2], argument[3]);
}

/* Only a process of one thread can have a user namespace of its own. */
EXPORT int unshare(int flags)
{
	struct timespec moment = {0, 1000000};
	int result;

	if ((flags & CLONE_NEWUSER) != 0)
		report_withdraw("the program goes into a user namespace of its own");
	result = real_unshare(flags);
	/* Our thread may still be on its way out of the kernel. */
	for (int i = 0; i < 50 && result != 0 && errno == EINVAL && (flags & CLONE_NEWUSER) != 0; i++) {
		nanosleep(&moment, NULL);
		result = real_unshare(flags);
	}
	return result;
}

EXPORT int mlockall(int flags)
{
	return hook_mlockall(flags);
}

EXPORT void *mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, ...)
{
	void *new_address = NULL;
	va_list arguments;

	if ((flags & MREMAP_FIXED) != 0) {
		va_start(arguments, flags);
		new_address = va_arg(arguments, void *);
		va_end(arguments);
	}
	return hook_mremap(address, old_bytes, new_bytes, flags, new_address);
}

EXPORT int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	return hook_sigaction(signal, action, old);
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	return hook_handler(real_signal(number, handler));
}

sighandler_t bsd_signal(int number, sighandler_t handler); /* glibc no longer declares it */

EXPORT sighandler_t bsd_signal(int number, sighandler_t handler)
{
	return hook_handler(real_signal(number, handler));
}

EXPORT sighandler_t ssignal(int number, sighandler_t handler)
{
	return hook_handler(real_signal(number, handler));
}

EXPORT sighandler_t sysv_signal(int number, sighandler_t handler)
{
	return hook_handler(real_sysv_signal(number, handler));
}

/* What signal() is to a program that asked for X/Open's. */
EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler)
{
	return hook_handler(real_sysv_signal(number, handler));
}

EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
	return hook_handler(real_sigset(number, handler));
}
