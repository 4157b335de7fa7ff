/* SPDX-License-Identifier: MIT */
/*
 * Which filters would end the process for the shim's own calls. Each is checked in a child, because the answer stays.
 */
#include "system/sandbox.h"

#include "tap.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUMBER      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define IS(call, t) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, t, 0)
#define ANSWER(how) BPF_STMT(BPF_RET | BPF_K, how)
#define KILL        ANSWER(SECCOMP_RET_KILL_PROCESS)
#define ALLOW       ANSWER(SECCOMP_RET_ALLOW)

static bool is_tight(struct sock_filter *code, unsigned short instructions)
{
	struct sock_fprog filter = {instructions, code};
	pid_t child = fork();
	int status;

	if (child == 0) {
		sandbox_know(code != NULL ? &filter : NULL);
		_exit(sandbox_is_tight());
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

#define TIGHT(...)                                                                                           \
	is_tight((struct sock_filter[]){__VA_ARGS__},                                                        \
	        sizeof((struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter))

int main(void)
{
	tap_ok(!sandbox_is_tight(), "sandbox: at first nothing is forbidden");
	tap_ok(is_tight(NULL, 0), "sandbox: the strict mode is tight");
	tap_ok(!TIGHT(ALLOW), "sandbox: what allows all is not");
	tap_ok(!TIGHT(ANSWER(SECCOMP_RET_ERRNO | EPERM)), "sandbox: nor what only refuses");
	tap_ok(!TIGHT(NUMBER, IS(SYS_execve, 1), ALLOW, KILL), "sandbox: nor what kills for calls of others");
	tap_ok(TIGHT(NUMBER, IS(SYS_madvise, 1), ALLOW, KILL),
	        "sandbox: what kills for one of ours is tight");
	tap_ok(TIGHT(NUMBER, IS(SYS_madvise, 1), ALLOW, ANSWER(SECCOMP_RET_TRAP)), "sandbox: so is a trap");
	tap_ok(TIGHT(NUMBER, IS(SYS_mmap, 1), KILL, ALLOW),
	        "sandbox: so is what allows the program's calls alone");
	tap_ok(TIGHT(NUMBER, BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, SYS_madvise), IS(0, 1), ALLOW, KILL),
	        "sandbox: numbers are calculated with");
	tap_ok(TIGHT(NUMBER, BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_IMM, 0),
	               BPF_STMT(BPF_LDX | BPF_MEM, 3), BPF_STMT(BPF_MISC | BPF_TXA, 0), IS(SYS_madvise, 1),
	               ALLOW, KILL),
	        "sandbox: and stored, and moved");
	tap_ok(!TIGHT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
#ifdef __aarch64__
	                       AUDIT_ARCH_AARCH64,
#else
	                       AUDIT_ARCH_X86_64,
#endif
	                       0, 1),
	               ALLOW, KILL),
	        "sandbox: the machine is the one that we are");
	tap_ok(TIGHT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW),
	        "sandbox: what reads beyond the call is tight");
	tap_ok(TIGHT(NUMBER), "sandbox: so is what has no answer");
	return tap_done();
}
