/* SPDX-License-Identifier: MIT */
/*
 * service COMMAND...: becomes COMMAND, which is killed if it or its children make a system call that is not in systemd's
 * group @system-service, as far as a preloaded library might think of it.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KILL_FOR(name)                                                                                       \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                               \
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

int main(int count, char **words)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        KILL_FOR(mincore),
	        KILL_FOR(pidfd_getfd),
	        KILL_FOR(process_madvise),
	        KILL_FOR(ptrace),
	        KILL_FOR(bpf),
	        KILL_FOR(perf_event_open),
	        KILL_FOR(kcmp),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	if (count < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		perror(words[0]);
		return EXIT_FAILURE;
	}
	execvp(words[1], words + 1);
	perror(words[1]);
	return EXIT_FAILURE;
}
