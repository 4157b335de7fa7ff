/* SPDX-License-Identifier: MIT */
/*
 * What only a process of one thread may do, before and after stacks have come and gone; the first argument says which.
 *
 *	join		takes a child's user and time namespaces for its own
 *	earlier PATH	a time namespace in which the clock is set back; then stacks, and waits until there is such a file
 *	own		a user namespace of its own, twice
 *	back PATH	the same, and stacks, and waits until there is such a file
 *	unmount		works in a folder that it has mounted, leaves it, and unmounts it
 *	refused		what is refused anyway
 *	confined	forbids itself, on pain of death, what the making of threads and the opening of files take; then stacks
 *	filtered	may not change its user, by a filter of its own thread that comes after the first stack
 *	keep		keeps its capabilities when its user changes, after the first stack
 *	keep-first	and before it
 *	launch		a child of vfork gives rights up, as before exec, between stacks
 *	launch-first	and before them
 *	vfork		stacks first in a child of vfork, then its own
 *	alone		says how many threads there are, after nothing, and after a stack
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

enum { BYTES = 64 << 10, SOME = 100, PATIENCE = 2000 };

__attribute__((noinline)) static char *map(void)
{
	char *volatile mapped =
	        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

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

static void say(const char *what, int result)
{
	printf("%s: %s\n", what, result == 0 ? "done" : strerror(errno));
	fflush(stdout);
}

/* As far back as it goes. */
static void set_back(void)
{
	struct timespec now;
	char text[64];
	int fd, bytes;

	clock_gettime(CLOCK_MONOTONIC, &now);
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	bytes = snprintf(text, sizeof text, "monotonic -%lld 0\n", (long long)now.tv_sec - 1);
	if (write(fd, text, (size_t)bytes) != bytes)
		perror("timens_offsets");
	close(fd);
}

static void wait_for(const char *path)
{
	for (int i = 0; i < PATIENCE && access(path, F_OK) != 0; i++)
		poll(NULL, 0, 10);
}

/* A child that has its own, and waits. */
static pid_t start_child(bool is_earlier)
{
	int ends[2];
	pid_t child;
	char byte;

	if (pipe(ends) != 0)
		return -1;
	child = fork();
	if (child == 0) {
		if (unshare(is_earlier ? CLONE_NEWTIME : CLONE_NEWUSER | CLONE_NEWTIME) != 0)
			perror("unshare");
		if (is_earlier)
			set_back();
		close(ends[1]);
		pause();
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) < 0)
		perror("read");
	close(ends[0]);
	return child;
}

static int join(pid_t child, const char *kind, int type)
{
	char path[64];
	int fd, result;

	snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)child, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	result = setns(fd, type);
	close(fd);
	return result;
}

static void earlier(const char *end)
{
	pid_t child;

	use();
	child = start_child(true);
	say("time", join(child, "time_for_children", CLONE_NEWTIME));
	use();
	wait_for(end);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void join_both(void)
{
	pid_t child = start_child(false);

	use();
	say("users", join(child, "user", 0));
	say("users again", join(child, "user", CLONE_NEWUSER));
	use();
	say("time", join(child, "time_for_children", CLONE_NEWTIME));
	use();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void refused(void)
{
	use();
	say("a file that is not open", setns(-1, CLONE_NEWUSER));
	say("its own users", join(getpid(), "user", CLONE_NEWUSER));
	say("nothing that there is", unshare(CLONE_NEWUSER | 0x3));
	use();
}

static void back(const char *end)
{
	use();
	say("own users", unshare(CLONE_NEWUSER));
	use();
	wait_for(end);
}

static void unmount(void)
{
	char here[PATH_MAX];

	say("own mounts", unshare(CLONE_NEWNS) ?: mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	mkdir("mounted", 0755);
	say("a folder", mount("none", "mounted", "tmpfs", 0, NULL) ?: chdir("mounted"));
	if (getcwd(here, sizeof here) == NULL)
		return;
	use();
	say("to leave it", chdir("/"));
	say("to unmount it", umount(here));
}

static void confined(void)
{
#define KILL_FOR(name)                                                                                       \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                               \
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        KILL_FOR(clone),
	        KILL_FOR(clone3),
	        KILL_FOR(openat),
	        KILL_FOR(unshare),
	        KILL_FOR(close_range),
	        KILL_FOR(rt_sigpending),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	say("no new rights", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("a filter", (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
	use();
	use();
}

static void filtered(void)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setuid, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	use();
	say("no new rights", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("a filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	say("another user", setuid(1));
	use();
}

static void in_child(void)
{
	pid_t child = vfork();

	if (child == 0) {
		use();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	use();
}

static void launch(bool is_after)
{
	pid_t child;

	if (!is_after)
		use();
	child = vfork();
	if (child == 0)
		_exit(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0);
	waitpid(child, NULL, 0);
	use();
}

static void count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	while (tasks != NULL && readdir(tasks) != NULL)
		count++;
	if (tasks != NULL)
		closedir(tasks);
	printf("%d\n", count - 2);
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";

	if (strcmp(what, "join") == 0) {
		join_both();
	} else if (strcmp(what, "earlier") == 0) {
		earlier(count > 2 ? words[2] : "");
	} else if (strcmp(what, "own") == 0) {
		use();
		say("own users", unshare(CLONE_NEWUSER));
		use();
		say("own users, again", unshare(CLONE_NEWUSER | CLONE_NEWPID));
		use();
	} else if (strcmp(what, "back") == 0) {
		back(count > 2 ? words[2] : "");
	} else if (strcmp(what, "unmount") == 0) {
		unmount();
	} else if (strcmp(what, "refused") == 0) {
		refused();
	} else if (strcmp(what, "confined") == 0) {
		confined();
	} else if (strcmp(what, "filtered") == 0) {
		filtered();
	} else if (strncmp(what, "keep", 4) == 0) {
		if (what[4] == '\0')
			use();
		say("capabilities", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
		use();
	} else if (strncmp(what, "launch", 6) == 0) {
		launch(what[6] != '\0');
	} else if (strcmp(what, "vfork") == 0) {
		in_child();
	} else {
		count_threads();
		use();
		count_threads();
	}
	return 0;
}
