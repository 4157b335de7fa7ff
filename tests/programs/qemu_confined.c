/* SPDX-License-Identifier: MIT */
/*
 * A host with QEMU's coroutines that changes what a process relies on: its descriptors, its root folder, its
 * rights, its parent. qemu_confined SCENARIO [PATH]. While one takes its course, coroutines come and go, and
 * so does whatever else the process has running.
 */
#include "qemu_like.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum { FILES = 64, ROUNDS = 30 };

static const char mine[] = "this is the program's own line\n";

/* Coroutines come and go for a while: long enough for some samples at intervals of 10 ms. */
static void churn_a_while(unsigned ms)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		churn(5, 200);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < ms);
}

static void close_all(void)
{
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
}

/* Opens files PATH.0, PATH.1, … on every descriptor from 0 up, and writes a line into each. */
static void open_own_files(const char *path)
{
	char name[4096];

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "%s.%d", path, i);
		if (open(name, O_WRONLY | O_CREAT | O_APPEND, 0644) != i)
			_exit(97);
		if (write(i, mine, sizeof mine - 1) != sizeof mine - 1)
			_exit(96);
	}
}

/* Any descriptor may be somebody else's for a moment, and none of ours may be lost. */
static void reuse_descriptors(const char *path)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		close_all();
		open_own_files(path);
		churn_a_while(20);
	}
}

/* Longer than anybody should wait for the end of what it has closed. */
static void close_and_stay(const char *path)
{
	(void)path;
	close_all();
	churn_a_while(20000);
}

static void run_daemon(const char *path)
{
	pid_t child = fork();
	char text[32];
	int fd;

	if (child < 0)
		die("no child");
	if (child > 0)
		_exit(0);
	setsid();
	child = fork();
	if (child != 0)
		_exit(0);
	if (chdir("/") != 0)
		_exit(97);
	close_all();
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (write(fd, text, snprintf(text, sizeof text, "%d\n", (int)getpid())) < 0)
		_exit(96);
	churn_a_while(600);
}

static void run_chroot(const char *path)
{
	if (chroot(path) != 0 || chdir("/") != 0)
		die("chroot failed");
	churn_a_while(300);
}

static void drop_rights(const char *path)
{
	(void)path;
	if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
	        setresuid(65534, 65534, 65534) != 0)
		die("the rights cannot be dropped");
	churn_a_while(300);
}

/* No thread of the process may open, write, clone or close any more. */
static void forbid_calls(const char *path)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 5, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 3, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 2, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstat, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	(void)path;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		die("seccomp failed");
	churn_a_while(300);
	_exit(write(STDOUT_FILENO, mine, 1) < 0 ? 0 : 95);
}

/* Whoever opens a file, or asks for one by name, is killed, with all others. */
static void kill_openers(const char *path)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 3, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_newfstatat, 2, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_readlinkat, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	(void)path;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		die("seccomp failed");
	churn_a_while(2500);
}

/* No file may grow: whoever writes gets SIGXFSZ, and ends if it is not ignored. */
static void limit_files(const char *path)
{
	struct rlimit none = {0, 0};

	(void)path;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	churn_a_while(300);
}

/* Descriptor 2 becomes a file of the program's own. */
static void reuse_stderr(const char *path)
{
	close(STDERR_FILENO);
	if (open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644) != STDERR_FILENO)
		_exit(97);
	churn_a_while(300);
	if (write(STDERR_FILENO, mine, sizeof mine - 1) < 0)
		_exit(96);
}

static void churn_for_300_ms(const char *path)
{
	(void)path;
	churn_a_while(300);
}

static const struct {
	const char *name;
	void (*run)(const char *path);
} scenarios[] = {
        {"plain", churn_for_300_ms},
        {"reuse-descriptors", reuse_descriptors},
        {"close-and-stay", close_and_stay},
        {"daemon", run_daemon},
        {"chroot", run_chroot},
        {"drop-rights", drop_rights},
        {"forbid-calls", forbid_calls},
        {"kill-openers", kill_openers},
        {"limit-files", limit_files},
        {"reuse-stderr", reuse_stderr},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
		if (argc >= 2 && strcmp(argv[1], scenarios[i].name) == 0) {
			scenarios[i].run(argv[2]);
			return 0;
		}
	}
	die("qemu_confined: there is no such scenario");
}
