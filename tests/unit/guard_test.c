/* SPDX-License-Identifier: MIT */
/* Guards by all means: what they stop, what they leave, and which of them older kernels get. */
#include "stack/guard.h"

#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = TEST_PAGE, PAGES = 16 };

static const struct {
	enum guard_means means;
	const char *name;
	int signal;
	bool survives_trim;
} all_means[] = {
        {GUARD_MADVISE, "madvise", SIGSEGV, true},
        {GUARD_POISON, "poison", SIGBUS, false},
        {GUARD_MPROTECT, "mprotect", SIGSEGV, true},
};

/* A mapping that is not merged with another; its neighbours stay. */
static char *map(void)
{
	char *memory = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(memory + PAGE, PAGES * PAGE, RW);
	return memory + PAGE;
}

/* The signal that ends a child that writes there; 0: none. */
static int deadly_signal(volatile char *at)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		*at = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static bool is_deadly(volatile char *at)
{
	return deadly_signal(at) == SIGSEGV;
}

static int count_descriptors(void)
{
	DIR *open = opendir("/proc/self/fd");
	int count = 0;

	while (open != NULL && readdir(open) != NULL)
		count++;
	if (open != NULL)
		closedir(open);
	return count;
}

static int count_maps(const char *low)
{
	unsigned long first, last;
	char line[512];
	int count = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		count += sscanf(line, "%lx-%lx", &first, &last) == 2 && last > (unsigned long)low &&
		         first < (unsigned long)low + PAGES * PAGE;
	if (maps != NULL)
		fclose(maps);
	return count;
}

static void test_means(enum guard_means means, const char *name, int death, bool survives_trim)
{
	char *memory = map();
	int maps = count_maps(memory), descriptors = count_descriptors(), status = 0;
	pid_t child;

	errno = 77;
	tap_is(guard_install(means, memory, 2 * PAGE), means, "guard by %s: it can be had", name);
	tap_is(count_descriptors(), descriptors, "guard by %s: it leaves no descriptor open", name);
	tap_is(deadly_signal(memory), death, "guard by %s: touching its first byte kills", name);
	tap_is(deadly_signal(memory + 2 * PAGE - 1), death, "guard by %s: and so does touching its last",
	        name);
	tap_is(deadly_signal(memory + 2 * PAGE), 0, "guard by %s: touching the page above does not", name);
	child = fork();
	if (child == 0)
		_exit(deadly_signal(memory));
	waitpid(child, &status, 0);
	tap_is(WEXITSTATUS(status), death, "guard by %s: it outlives two forks", name);
	if (means != GUARD_MPROTECT)
		tap_is(count_maps(memory), maps, "guard by %s: it takes no memory map", name);
	memset(memory + 2 * PAGE, 1, (PAGES - 2) * PAGE);
	madvise(memory + 2 * PAGE, (PAGES - 2) * PAGE, MADV_DONTNEED);
	tap_is(deadly_signal(memory + PAGE), death, "guard by %s: it survives that what is above is trimmed",
	        name);
	madvise(memory, PAGES * PAGE, MADV_DONTNEED);
	tap_is(deadly_signal(memory + PAGE), survives_trim ? death : 0, "guard by %s: it %s a trim", name,
	        survives_trim ? "survives" : "does not survive");
	tap_is(guard_remove(means, memory, 2 * PAGE, RW), 0, "guard by %s: it can be taken away", name);
	memset(memory, 1, PAGES * PAGE);
	tap_is(errno, 77, "guard by %s: errno survives all that", name);

	guard_install(means, memory, PAGE);
	tap_is(guard_settle(means, memory, PAGE), 0, "guard by %s: it can be settled", name);
	tap_ok(is_deadly(memory), "guard by %s: settled, it kills by SIGSEGV", name);
	mprotect(memory, PAGE, RW);
	tap_is(deadly_signal(memory), 0, "guard by %s: settled, mprotect opens it", name);
	munmap(memory, PAGES * PAGE);
}

/* ---- older kernels ---- */

/* From now on the kernel returns an error for a system call of this process, if its argument is `value`. */
static void refuse(int call, int argument, unsigned value, int error)
{
	struct sock_filter filter[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * argument),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(100);
}

/* A child's answer without what older kernels lack; 100: it could not be tried. */
static int in_older(bool has_poison, int (*ask)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		refuse(SYS_madvise, 2, 102, EINVAL);
		if (!has_poison)
			refuse(SYS_userfaultfd, 0, O_CLOEXEC | O_NONBLOCK | 1, ENOSYS);
		_exit(ask());
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

static int ask_auto(void)
{
	return guard_probe(GUARD_AUTO, NULL);
}

static int ask_madvise(void)
{
	return guard_probe(GUARD_MADVISE, NULL);
}

static int ask_poison(void)
{
	return guard_probe(GUARD_POISON, NULL);
}

static int ask_drop(void)
{
	bool can_drop;

	guard_probe(GUARD_AUTO, &can_drop);
	return can_drop;
}

/* A child's answer if advice returns 0 and does nothing; 100: it could not be tried. */
static int in_liar(unsigned advice, int (*ask)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		refuse(SYS_madvise, 2, advice, 0);
		_exit(ask());
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

/* An old guard can be removed by a new mapping; here not even by that. */
static int ask_hopeless(void)
{
	char *memory = map();
	int error;

	refuse(SYS_madvise, 2, 103, EPERM);
	refuse(SYS_mmap, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, ENOMEM);
	errno = 77;
	error = guard_remove(GUARD_MADVISE, memory, PAGE, RW);
	return error == -ENOMEM && errno == 77 ? 0 : 1;
}

static void test_older(bool has_poison)
{
	if (in_older(true, ask_auto) == 100) {
		tap_skip("no seccomp filter may be set here", "guard: older kernels get what they can");
		return;
	}
	tap_is(in_older(false, ask_auto), GUARD_MPROTECT, "guard: the oldest kernels get mprotect");
	tap_is(in_older(false, ask_poison), GUARD_MPROTECT, "guard: even if poison is wanted");
	tap_is(in_older(false, ask_madvise), GUARD_MPROTECT, "guard: even if madvise is wanted");
	tap_is(in_older(true, ask_auto), GUARD_MPROTECT, "guard: so do Linux 6.6 to 6.12");
	if (has_poison)
		tap_is(in_older(true, ask_poison), GUARD_POISON, "guard: unless poison is wanted there");
	tap_is(in_liar(102, ask_auto), GUARD_MPROTECT,
	        "guard: where nothing is done and 0 is said to MADV_GUARD_INSTALL mprotect is taken");
	tap_is(in_liar(MADV_DONTNEED, ask_drop), 0,
	        "guard: where nothing is done and 0 is said to MADV_DONTNEED that is seen");
	tap_is(in_liar(MADV_DONTNEED, ask_poison), GUARD_MPROTECT, "guard: and poison is not taken");
	tap_is(in_liar(1000, ask_drop), 1, "guard: elsewhere it drops");
	tap_is(in_older(true, ask_madvise), GUARD_MPROTECT, "guard: but mprotect if madvise is wanted there");
	tap_is(in_older(true, ask_hopeless), 0,
	        "guard: one that cannot be removed says so, and errno survives");
}

static void test_locked(void)
{
	char *memory = map();

	/* Not through libc, which sanitizers watch. */
	if (syscall(SYS_mlock, memory, PAGES * PAGE) != 0) {
		tap_skip(strerror(errno), "guard: locked memory gets one by mprotect");
		return;
	}
	tap_is(guard_install(GUARD_MADVISE, memory, PAGE), GUARD_MPROTECT,
	        "guard: locked memory gets one by mprotect");
	tap_is(deadly_signal(memory), SIGSEGV, "guard: which kills");
	munmap(memory, PAGES * PAGE);
}

static void test_nowhere(void)
{
	char *memory = map();

	munmap(memory, PAGES * PAGE);
	errno = 78;
	tap_is(guard_install(GUARD_MADVISE, memory, PAGE), -ENOMEM, "guard: there is none where nothing is");
	tap_is(guard_remove(GUARD_MPROTECT, memory, PAGE, RW), -ENOMEM,
	        "guard: it cannot be taken away either");
	tap_is(errno, 78, "guard: errno survives failure too");
}

int main(void)
{
	tap_is(guard_probe(GUARD_MPROTECT, NULL), GUARD_MPROTECT, "guard: mprotect is always given");
	for (size_t i = 0; i < sizeof all_means / sizeof *all_means; i++) {
		if (guard_probe(all_means[i].means, NULL) != all_means[i].means) {
			tap_skip("this kernel has no such guards", "guard by %s", all_means[i].name);
			continue;
		}
		test_means(all_means[i].means, all_means[i].name, all_means[i].signal,
		        all_means[i].survives_trim);
	}
	test_older(guard_probe(GUARD_POISON, NULL) == GUARD_POISON);
	test_locked();
	test_nowhere();
	return tap_done();
}
