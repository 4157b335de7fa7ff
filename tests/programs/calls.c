/* SPDX-License-Identifier: MIT */
/*
 * Every function that libcopool.so takes from libc, called in ways that succeed and in ways that fail.
 *
 *	list		the calls, one a line: the function, and what is asked of it
 *	errno N		makes the Nth call, and says what it returned and what errno is then
 *	depth N		makes it on a stack of its own, and says how much of that was used
 *
 * Before each of them, but for those that say `first`, some stacks have come and gone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

enum { PAGE = 4096, BYTES = 64 << 10, SOME = 40, DEEP = 128 << 10, ERRNO = 77, PAINT = 0xa5 };
enum { RW = PROT_READ | PROT_WRITE, PLAIN = MAP_PRIVATE | MAP_ANONYMOUS, STACK = PLAIN | MAP_STACK };

int capset(void *header, const void *data);

static char *stack, *plain; /* of the call to come */
static volatile long result;
static char no_library[PAGE];

/* One call for all, and no jump: that is what makes them alike. */
__attribute__((noinline)) static char *map(void)
{
	char *volatile mapped = mmap(NULL, BYTES, RW, STACK, -1, 0);

	return mapped;
}

static void use(void)
{
	char *some[SOME];

	for (int i = 0; i < SOME; i++) {
		some[i] = map();
		some[i][BYTES - 1] = 1;
	}
	for (int i = 0; i < SOME; i++)
		munmap(some[i], BYTES);
}

static long of(void *pointer)
{
	return pointer == MAP_FAILED ? -1 : 0;
}

__attribute__((noinline)) static char *map_code(void)
{
	char *volatile mapped = mmap(NULL, BYTES, RW | PROT_EXEC, STACK, -1, 0);

	return mapped;
}

/* A stack has come and gone before the kernel is told to refuse executable memory. */
static long map_forbidden_code(void)
{
	munmap(map_code(), BYTES);
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0)
		return -3;
	errno = ERRNO;
	return of(map_code());
}

/* As many kinds as there can be, and more. */
static long map_kinds(void)
{
	long failed = 0;

	for (int i = 0; i < 60; i++)
		failed |= of(mmap(NULL, BYTES + (size_t)i * PAGE, RW, STACK, -1, 0));
	return failed;
}

static long drop_right(int version)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &header, data);
	data[0].effective &= ~(1u << CAP_SYS_CHROOT);
	data[0].permitted &= ~(1u << CAP_SYS_CHROOT);
	data[0].inheritable = 0;
	header.version = (unsigned)version;
	errno = ERRNO;
	return capset(&header, data);
}

/* As libcap does, for the calling thread and for nobody else. */
static void lose_right(int right)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &header, data);
	data[0].effective &= ~(1u << right);
	syscall(SYS_capset, &header, data);
	errno = ERRNO;
}

#define without(right, call) (lose_right(right), call)

/* Of this very process. */
static long advise(char *memory, int advice)
{
	int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
	long advised;

	errno = ERRNO;
	advised = process_madvise(process, &(struct iovec){memory, BYTES}, 1, advice, 0);
	return advised;
}

static long ask(const char *path)
{
	int ends[2], answer = 0, file;

	if (strcmp(path, "pipe") == 0 && pipe(ends) == 0)
		file = ends[0];
	else
		file = open(path, O_RDWR);
	errno = ERRNO;
	return ioctl(file, FIONREAD, &answer) != 0 ? -1 : answer;
}

static long give(char *memory)
{
	int ends[2];

	if (pipe(ends) != 0)
		return -2;
	errno = ERRNO;
	return vmsplice(ends[1], &(struct iovec){memory, PAGE}, 1, 0);
}

static long join(const char *path, int type)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	errno = ERRNO;
	return setns(fd, type);
}

static struct rlimit room = {1 << 30, RLIM_INFINITY}, was;

/* And what is limited then is there. */
static long of_room(long limited)
{
	return limited != 0 ? limited : of(mmap(NULL, 1 << 28, RW, PLAIN, -1, 0));
}

/* More than is left within a limit. */
static long of_lack(void)
{
	char *last = mmap(NULL, 1 << 30, PROT_NONE, PLAIN, -1, 0);

	setrlimit(RLIMIT_DATA, &room);
	errno = ERRNO;
	return mprotect(last, 1 << 30, RW);
}

static long of_room_left(void)
{
	setrlimit(RLIMIT_AS, &room);
	errno = ERRNO;
	return of(mmap(NULL, (1 << 30) - PAGE, PROT_NONE, PLAIN, -1, 0));
}

static long fork_once(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return child > 0 ? 0 : -1;
}

/* A name that no page follows and no zero ends. */
static char *unterminated(void)
{
	char *two = mmap(NULL, 2 * PAGE, RW, PLAIN, -1, 0);

	munmap(two + PAGE, PAGE);
	memset(two, 'x', PAGE);
	errno = ERRNO;
	return two;
}

#define LONG_NAME                                                                                            \
	"a name of more than eighty characters, which is more than the kernel takes for a mapping's name"
#define NAME(text) prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, stack, BYTES, text)

/* The function, what is asked of it, and the call. */
#define CALLS(CALL)                                                                                          \
	CALL(mmap, "the first stack", of(map()))                                                             \
	CALL(mmap, "the first of too many kinds", map_kinds())                                               \
	CALL(mmap, "a stack", of(map()))                                                                     \
	CALL(mmap, "a stack of another size", of(mmap(NULL, 3 * BYTES, RW, STACK, -1, 0)))                   \
	CALL(mmap, "other memory", of(mmap(NULL, BYTES, RW, PLAIN, -1, 0)))                                  \
	CALL(mmap, "over a stack", of(mmap(stack, BYTES, RW, PLAIN | MAP_FIXED, -1, 0)))                     \
	CALL(mmap, "where a stack is", of(mmap(stack, BYTES, RW, PLAIN | MAP_FIXED_NOREPLACE, -1, 0)))       \
	CALL(mmap, "nothing", of(mmap(NULL, 0, RW, STACK, -1, 0)))                                           \
	CALL(mmap, "too much", of(mmap(NULL, (size_t)1 << 60, RW, STACK, -1, 0)))                            \
	CALL(mmap, "more than its limit leaves", of_room_left())                                             \
	CALL(mmap, "a stack at a crooked offset", of(mmap(NULL, BYTES, RW, STACK, -1, 1)))                   \
	CALL(mmap, "an executable stack, which is forbidden", map_forbidden_code())                          \
	CALL(mmap, "of a file that is not open", of(mmap(NULL, BYTES, RW, MAP_PRIVATE, 999, 0)))             \
	CALL(mmap64, "the first stack", of(mmap64(NULL, BYTES, RW, STACK, -1, 0)))                           \
	CALL(mmap64, "over a stack", of(mmap64(stack, BYTES, RW, PLAIN | MAP_FIXED, -1, 0)))                 \
	CALL(mmap64, "nothing", of(mmap64(NULL, 0, RW, STACK, -1, 0)))                                       \
	CALL(munmap, "a stack", munmap(stack, BYTES))                                                        \
	CALL(munmap, "a part of a stack", munmap(stack, PAGE))                                               \
	CALL(munmap, "other memory", munmap(plain, BYTES))                                                   \
	CALL(munmap, "nothing", munmap(stack, 0))                                                            \
	CALL(munmap, "a crooked address", munmap(stack + 1, PAGE))                                           \
	CALL(mprotect, "a guard", mprotect(stack, PAGE, PROT_NONE))                                          \
	CALL(mprotect, "a stack to be read", mprotect(stack, BYTES, PROT_READ))                              \
	CALL(mprotect, "other memory", mprotect(plain, PAGE, PROT_NONE))                                     \
	CALL(mprotect, "what is not there", mprotect((char *)PAGE, PAGE, RW))                                \
	CALL(mprotect, "no protection that there is", mprotect(stack, PAGE, 0xff0))                          \
	CALL(mprotect, "a crooked address", mprotect(stack + 1, PAGE, PROT_NONE))                            \
	CALL(pkey_mprotect, "a guard", pkey_mprotect(stack, PAGE, PROT_NONE, -1))                            \
	CALL(pkey_mprotect, "a key that nobody has", pkey_mprotect(stack, PAGE, RW, 15))                     \
	CALL(mprotect, "to open more than its limit leaves", of_lack())                                      \
	CALL(madvise, "a stack's pages", madvise(stack, BYTES, MADV_DONTNEED))                               \
	CALL(madvise, "that no stack has", madvise(stack, BYTES, MADV_DONTDUMP))                             \
	CALL(madvise, "that there is not", madvise(stack, BYTES, 9999))                                      \
	CALL(madvise, "other memory", madvise(plain, BYTES, MADV_DONTNEED))                                  \
	CALL(madvise, "what is not there", madvise((char *)PAGE, PAGE, MADV_DONTNEED))                       \
	CALL(process_madvise, "a stack's pages", advise(stack, MADV_COLD))                                   \
	CALL(process_madvise, "that there is not", advise(stack, 9999))                                      \
	CALL(process_madvise, "other memory", advise(plain, MADV_COLD))                                      \
	CALL(process_madvise, "no process",                                                                  \
	        process_madvise(-1, &(struct iovec){stack, BYTES}, 1, MADV_COLD, 0))                         \
	CALL(vmsplice, "a stack", give(stack))                                                               \
	CALL(vmsplice, "what is not there", give((char *)PAGE))                                              \
	CALL(vmsplice, "from nowhere", vmsplice(-1, NULL, 1, 0))                                             \
	CALL(ioctl, "what a pipe holds", ask("pipe"))                                                        \
	CALL(ioctl, "what a file does not know", ask("/dev/null"))                                           \
	CALL(ioctl, "a file that is not open", ioctl(-1, FIONREAD, NULL))                                    \
	CALL(mlock, "a stack", mlock(stack, BYTES))                                                          \
	CALL(mlock, "what is not there", mlock((char *)PAGE, PAGE))                                          \
	CALL(mlock2, "a stack", mlock2(stack, BYTES, MLOCK_ONFAULT))                                         \
	CALL(mlock2, "in no way that there is", mlock2(stack, BYTES, 0x70))                                  \
	CALL(mlockall, "what there is", mlockall(MCL_CURRENT))                                               \
	CALL(mlockall, "nothing", mlockall(0))                                                               \
	CALL(mremap, "a stack that shrinks", of(mremap(stack, BYTES, BYTES / 2, 0)))                         \
	CALL(mremap, "a stack that grows", of(mremap(stack, BYTES, 4 * BYTES, MREMAP_MAYMOVE)))              \
	CALL(mremap, "other memory that shrinks", of(mremap(plain, BYTES, BYTES / 2, 0)))                    \
	CALL(mremap, "over a stack", of(mremap(plain, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, stack)))  \
	CALL(mremap, "to nothing", of(mremap(stack, BYTES, 0, MREMAP_MAYMOVE)))                              \
	CALL(mremap, "in no way that there is", of(mremap(stack, BYTES, BYTES, 0x700)))                      \
	CALL(mremap, "what is not there", of(mremap((char *)PAGE, PAGE, PAGE / 2, 0)))                       \
	CALL(setrlimit, "addresses", of_room(setrlimit(RLIMIT_AS, &room)))                                   \
	CALL(setrlimit, "nothing that there is", setrlimit(99, &(struct rlimit){1, 1}))                      \
	CALL(setrlimit, "from nowhere", setrlimit(RLIMIT_AS, NULL))                                          \
	CALL(setrlimit64, "addresses", of_room(setrlimit64(RLIMIT_AS, (struct rlimit64 *)&room)))            \
	CALL(prlimit, "its addresses", prlimit(getpid(), RLIMIT_AS, &room, &was))                            \
	CALL(prlimit, "its data", prlimit(0, RLIMIT_DATA, &room, NULL))                                      \
	CALL(prlimit, "nothing", prlimit(0, RLIMIT_AS, NULL, &was))                                          \
	CALL(prlimit, "nobody", prlimit(-1, RLIMIT_AS, &room, NULL))                                         \
	CALL(prlimit64, "its addresses", prlimit64(0, RLIMIT_AS, (struct rlimit64 *)&room, NULL))            \
	CALL(prctl, "a stack's name", NAME("a name"))                                                        \
	CALL(prctl, "a stack's name, again", (NAME("a name"), errno = ERRNO, NAME("a name")))                \
	CALL(prctl, "a name from nowhere", NAME((char *)8))                                                  \
	CALL(prctl, "a name without end", NAME(unterminated()))                                              \
	CALL(prctl, "a name that is too long", NAME(LONG_NAME))                                              \
	CALL(prctl, "a name of odd characters", NAME("\1[$]"))                                               \
	CALL(prctl, "no name", NAME(NULL))                                                                   \
	CALL(prctl, "to keep capabilities", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))                              \
	CALL(prctl, "to keep them in no way that there is", prctl(PR_SET_KEEPCAPS, 7, 0, 0, 0))              \
	CALL(prctl, "secure bits", prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))                \
	CALL(prctl, "no new rights", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))                                 \
	CALL(prctl, "no new rights, before the first stack", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))         \
	CALL(prctl, "no filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0))                     \
	CALL(prctl, "no mode that there is", prctl(PR_SET_SECCOMP, 9, 0, 0, 0))                              \
	CALL(prctl, "whether it dumps core", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))                             \
	CALL(prctl, "nothing that there is", prctl(12345, 0, 0, 0, 0))                                       \
	CALL(capset, "one right less", drop_right(_LINUX_CAPABILITY_VERSION_3))                              \
	CALL(capset, "no version that there is", drop_right(7))                                              \
	CALL(unshare, "its folders", unshare(CLONE_FS))                                                      \
	CALL(unshare, "its users", unshare(CLONE_NEWUSER))                                                   \
	CALL(unshare, "nothing that there is", unshare(0x3))                                                 \
	CALL(setns, "a file that is not open", setns(-1, CLONE_NEWUSER))                                     \
	CALL(setns, "its own users", join("/proc/self/ns/user", CLONE_NEWUSER))                              \
	CALL(setns, "its own network", join("/proc/self/ns/net", 0))                                         \
	CALL(setns, "what is no namespace", join("/dev/null", 0))                                            \
	CALL(setuid, "another user", setuid(65534))                                                          \
	CALL(setuid, "root", setuid(0))                                                                      \
	CALL(seteuid, "another user", seteuid(65534))                                                        \
	CALL(seteuid, "no user that there is", seteuid((uid_t)-1))                                           \
	CALL(setreuid, "another user", setreuid(65534, 65534))                                               \
	CALL(setreuid, "no change", setreuid((uid_t)-1, (uid_t)-1))                                          \
	CALL(setresuid, "another user", setresuid(65534, 65534, 65534))                                      \
	CALL(setresuid, "another and back", setresuid((uid_t)-1, 65534, 0) ?: setresuid(0, 0, 0))            \
	CALL(setuid, "another user, without the right", without(CAP_SETUID, setuid(65534)))                  \
	CALL(setgid, "another group", setgid(65534))                                                         \
	CALL(setgid, "another group, without the right", without(CAP_SETGID, setgid(65534)))                 \
	CALL(setegid, "another group", setegid(65534))                                                       \
	CALL(setregid, "another group", setregid(65534, 65534))                                              \
	CALL(setresgid, "another group, without the right", without(CAP_SETGID, setresgid(1, 2, 3)))         \
	CALL(setgroups, "another group", setgroups(1, &(gid_t){65534}))                                      \
	CALL(setgroups, "too many", setgroups((size_t)1 << 20, (gid_t *)stack))                              \
	CALL(initgroups, "those of nobody", initgroups("nobody", 65534))                                     \
	CALL(initgroups, "those of nobody, without the right", without(CAP_SETGID, initgroups("nobody", 1))) \
	CALL(dlclose, "the program", dlclose(dlopen(NULL, RTLD_NOW)))                                        \
	CALL(dlclose, "nothing that was loaded", dlclose(no_library))                                        \
	CALL(fork, "once", fork_once())

#define ROW(name, asked, call) {#name, asked},
static const struct {
	const char *function, *asked;
} calls[] = {CALLS(ROW)};

enum { COUNT = sizeof calls / sizeof *calls };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static long make(int number)
{
	int row = 0;

#define MAKE(name, asked, call)                                                                              \
	if (row++ == number) {                                                                               \
		errno = ERRNO;                                                                               \
		return call;                                                                                 \
	}
	CALLS(MAKE)
	return -2;
}
#pragma GCC diagnostic pop

static int wanted;
static char painted[DEEP];
static ucontext_t here, there;

static void run(void)
{
	result = make(wanted);
}

/* How much of the stack the call used. */
static size_t measure(void)
{
	size_t low = 0;

	memset(painted, PAINT, sizeof painted);
	getcontext(&there);
	there.uc_stack.ss_sp = painted;
	there.uc_stack.ss_size = sizeof painted;
	there.uc_link = &here;
	makecontext(&there, run, 0);
	swapcontext(&here, &there);
	while (low < sizeof painted && (unsigned char)painted[low] == PAINT)
		low++;
	return sizeof painted - low;
}

int main(int count, char **words)
{
	int error;

	if (count == 2) {
		for (int i = 0; i < COUNT; i++)
			printf("%s %s\n", calls[i].function, calls[i].asked);
		return 0;
	}
	wanted = atoi(words[2]);
	if (strstr(calls[wanted].asked, "first") == NULL) {
		use();
		stack = map();
		plain = mmap(NULL, BYTES, RW, PLAIN, -1, 0);
	}
	if (strcmp(words[1], "depth") == 0) {
		printf("%zu\n", measure());
		return 0;
	}
	run();
	error = errno;
	printf("%s %s: %ld, errno %d\n", calls[wanted].function, calls[wanted].asked, result, error);
	return 0;
}
