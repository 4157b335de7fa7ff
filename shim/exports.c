/* SPDX-License-Identifier: MIT */
/*
 * The functions that replace libc's; libc/hooked.h has the table. An exported function calls hook_…, which calls real_…
 * in libc/real.c: nothing calls an exported name, so that nothing recurses.
 */
#include "adapter/stack_hooks.h"
#include "adapter/unload.h"
#include "libc/real.h"
#include "system/sandbox.h"
#include "report/report.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define GIVES_UP "the program gives up capabilities"

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

/* Under another name here, for what <sys/ioctl.h> declares with `...`. */
#define EXPORT_PASS(result, name, parameters, arguments)                                                     \
	EXPORT result export_##name parameters __asm__(#name);                                               \
	EXPORT result export_##name parameters                                                               \
	{                                                                                                    \
		return hook_##name arguments;                                                                \
	}
#define EXPORT_OWN(...)
#define EXPORT_ONE(real, exported, result, name, type, parameters, arguments)                                \
	EXPORT_##exported(result, name, parameters, arguments)
HOOKED(EXPORT_ONE)

/* With 64 bits both names of each mean the same. */
EXPORT int export_setrlimit64(int resource, const struct rlimit *limit) __asm__("setrlimit64");

EXPORT int export_setrlimit64(int resource, const struct rlimit *limit)
{
	return hook_setrlimit(resource, limit);
}

EXPORT int export_prlimit64(
        pid_t process, int resource, const struct rlimit *limit, struct rlimit *old) __asm__("prlimit64");

EXPORT int export_prlimit64(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old)
{
	return hook_prlimit(process, resource, limit, old);
}

/* The program has a filter, or expects one, that does not bind our thread. */
static _Atomic bool is_filtered;

static void note_filter(void)
{
	/* [is_filtered] relaxed: read by the thread that the filter binds. */
	atomic_store_explicit(&is_filtered, true, memory_order_relaxed);
}

/* sandbox_know() reads the filter only after the kernel has accepted it. */
static int confine(unsigned long mode, unsigned long filter, unsigned long c, unsigned long d)
{
	bool has_thread = report_thread() != 0;
	int result;

	report_expect_filter();
	report_confine();
	result = real_prctl(PR_SET_SECCOMP, mode, filter, c, d);
	if (result == 0) {
		sandbox_know(mode == SECCOMP_MODE_FILTER ? (void *)filter : NULL);
		if (has_thread)
			note_filter();
	}
	return result;
}

/*
 * Like the function in <sys/prctl.h>, but it takes whatever lies where four more arguments would, as a va_list would.
 * PHP calls it in each fiber's life.
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
	if (option == PR_SET_MDWE && (a & PR_MDWE_REFUSE_EXEC_GAIN) != 0 && result == 0)
		stack_hooks_forbid_code();
	/* A filter follows, most often by a bare system call. It may kill for starting a thread. */
	if (option == PR_SET_NO_NEW_PRIVS && result == 0) {
		report_expect_filter();
		if (report_thread() != 0)
			note_filter();
	}
	return result;
}

struct rights {
	uint64_t permitted, effective;
};

/* A thread's capabilities (0: the calling thread's); none if they cannot be read. */
static struct rights rights_of(pid_t thread)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = thread};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	struct rights rights = {0};
	int saved = errno;

	if (syscall(SYS_capget, &header, data) == 0) {
		rights.permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
		rights.effective = (uint64_t)data[1].effective << 32 | data[0].effective;
	}
	errno = saved;
	return rights;
}

/* Each thread has its own capabilities: our thread must not keep what the program gives up. */
EXPORT int capset(void *header, const void *data)
{
	uint64_t before = rights_of(0).permitted, after;
	int result = real_capset(header, data);

	after = rights_of(0).permitted;
	if ((before & ~after) != 0)
		report_withdraw(GIVES_UP);
	return result;
}

/*
 * libc changes users and groups in all threads, and aborts if one may do what another may not. libcap, for one, changes
 * the capabilities of the calling thread by a bare system call; and a filter binds that thread.
 */
static void agree(void)
{
	struct rights own, ours;
	pid_t thread = report_thread();

	if (thread == 0)
		return;
	/* [is_filtered] relaxed: as in note_filter. */
	if (atomic_load_explicit(&is_filtered, memory_order_relaxed)) {
		report_withdraw("the program changes its user or groups under a filter");
		return;
	}
	own = rights_of(0);
	ours = rights_of(thread);
	if (own.permitted != ours.permitted || own.effective != ours.effective)
		report_withdraw(GIVES_UP);
}

/* A service's worker may become a user that cannot open the log. */
static void become(uid_t user)
{
	agree();
	report_leave_root(user);
}

EXPORT int setuid(uid_t user)
{
	become(user);
	return real_setuid(user);
}

EXPORT int seteuid(uid_t user)
{
	become(user);
	return real_seteuid(user);
}

EXPORT int setreuid(uid_t real, uid_t effective)
{
	become(effective);
	return real_setreuid(real, effective);
}

EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	become(effective);
	return real_setresuid(real, effective, saved);
}

EXPORT int setgid(gid_t group)
{
	agree();
	return real_setgid(group);
}

EXPORT int setegid(gid_t group)
{
	agree();
	return real_setegid(group);
}

EXPORT int setregid(gid_t real, gid_t effective)
{
	agree();
	return real_setregid(real, effective);
}

EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	agree();
	return real_setresgid(real, effective, saved);
}

EXPORT int setgroups(size_t count, const gid_t *groups)
{
	agree();
	return real_setgroups(count, groups);
}

EXPORT int initgroups(const char *user, gid_t group)
{
	agree();
	return real_initgroups(user, group);
}

/*
 * Whether the call failed in a way that our thread may have caused: only a process of one thread may make it. If so, our
 * thread has ended, until report_come_back(). errno does not change.
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

/* `type` may be 0: `fd` then says which namespaces are meant. */
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
