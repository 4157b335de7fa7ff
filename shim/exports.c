/* SPDX-License-Identifier: MIT */
/*
 * The names that we take from libc. One line each: the exported function, then hook_… in adapter/stack_hooks.c, then
 * real_… in libc/real.c, so that nothing recurses by accident.
 */
#include "adapter/stack_hooks.h"
#include "adapter/unload.h"
#include "libc/real.h"
#include "system/sandbox.h"
#include "report/report.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

int capset(void *header, const void *data); /* libc has no header for it */

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

EXPORT int dlclose(void *library)
{
	return hook_dlclose(library);
}

/* The filter can be looked at when the kernel has been able to. */
static int confine(unsigned long mode, unsigned long filter, unsigned long c, unsigned long d)
{
	int result;

	report_expect_filter();
	report_confine();
	result = real_prctl(PR_SET_SECCOMP, mode, filter, c, d);
	if (result == 0)
		sandbox_know(mode == SECCOMP_MODE_FILTER ? (void *)filter : NULL);
	return result;
}

/*
 * As <sys/prctl.h> has it, but that it takes whatever lies where four more arguments would: what a va_list
 * yields as well. Each life of a PHP fiber pays for one.
 */
EXPORT int export_prctl(
        int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) __asm__("prctl");

EXPORT int export_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	int result;

	if (option == PR_SET_VMA)
		return hook_prctl(option, a, b, c, d);
	/* A thread that keeps its capabilities: glibc cannot do that to ours when the user changes, and aborts. */
	if ((option == PR_SET_KEEPCAPS && a != 0) || option == PR_SET_SECUREBITS)
		report_withdraw("the program keeps capabilities while it changes its user");
	if (option == PR_SET_SECCOMP)
		return confine(a, b, c, d);
	result = real_prctl(option, a, b, c, d);
	/* A filter follows, most often by the system call itself: who starts a thread then may be killed for it. */
	if (option == PR_SET_NO_NEW_PRIVS && result == 0)
		report_expect_filter();
	return result;
}

/* What the calling thread may have, as far as it can be known. */
static void permitted(uint64_t *rights)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	int saved = errno;

	*rights = 0;
	if (syscall(SYS_capget, &header, data) == 0)
		*rights = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	errno = saved;
}

/* A thread's capabilities are its own: ours must not keep what the program gives up. */
EXPORT int capset(void *header, const void *data)
{
	uint64_t before, after;
	int result;

	permitted(&before);
	result = real_capset(header, data);
	permitted(&after);
	if ((before & ~after) != 0)
		report_withdraw("the program gives up capabilities");
	return result;
}

/* A service's worker becomes somebody who may not open what its master may. */
EXPORT int setuid(uid_t user)
{
	report_leave_root(user);
	return real_setuid(user);
}

EXPORT int seteuid(uid_t user)
{
	report_leave_root(user);
	return real_seteuid(user);
}

EXPORT int setreuid(uid_t real, uid_t effective)
{
	report_leave_root(effective);
	return real_setreuid(real, effective);
}

EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	report_leave_root(effective);
	return real_setresuid(real, effective, saved);
}

/*
 * Whether a call failed that only a process of one thread may make, perhaps because of ours; then ours is gone, until
 * report_come_back(). errno stays the call's.
 */
static bool is_to_be_tried_alone(int result)
{
	return result != 0 && (errno == EINVAL || errno == EUSERS) && report_step_aside();
}

EXPORT int unshare(int flags)
{
	int of_threads = CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	int saved = errno, result = real_unshare(flags);

	if ((flags & of_threads) != 0 && is_to_be_tried_alone(result)) {
		errno = saved;
		result = real_unshare(flags);
		report_come_back();
	}
	return result;
}

/* `type` may be 0, and `fd` say which namespaces it is about. */
EXPORT int setns(int fd, int type)
{
	int saved = errno, result = real_setns(fd, type);

	if (is_to_be_tried_alone(result)) {
		errno = saved;
		result = real_setns(fd, type);
		report_come_back();
	}
	return result;
}

/* As <sys/ioctl.h> has it, but for a third argument that is always there; see prctl above. */
EXPORT int export_ioctl(int fd, unsigned long request, void *argument) __asm__("ioctl");

EXPORT int export_ioctl(int fd, unsigned long request, void *argument)
{
	return hook_ioctl(fd, request, argument);
}

EXPORT ssize_t process_madvise(
        int process, const struct iovec *range, size_t ranges, int advice, unsigned flags)
{
	return hook_process_madvise(process, range, ranges, advice, flags);
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
