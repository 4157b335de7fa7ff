/* SPDX-License-Identifier: MIT */
/* Making the windows, emptying the process, stepping it. */
#include "sandbox.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

static struct {
	uint64_t address;
	size_t bytes;
	int protection;
	int fd;
	uint8_t *ours;
} window[SANDBOX_WINDOWS] = {
        [SANDBOX_TEXT] = {0x200000000000, SANDBOX_CODE_BYTES, PROT_READ | PROT_EXEC, -1, NULL},
        [SANDBOX_NEAR] = {0x200000010000, SANDBOX_CODE_BYTES, PROT_READ | PROT_EXEC, -1, NULL},
        [SANDBOX_ABOVE] = {0x20007ffe0000, SANDBOX_CODE_BYTES, PROT_READ | PROT_EXEC, -1, NULL},
        [SANDBOX_BELOW] = {0x1fff80020000, SANDBOX_CODE_BYTES, PROT_READ | PROT_EXEC, -1, NULL},
        [SANDBOX_DATA] = {0x300000000000, SANDBOX_DATA_BYTES, PROT_READ | PROT_WRITE, -1, NULL},
};

static pid_t child;
static struct sandbox_state initial;

/* What the process does before it is emptied: nothing but system calls. */
static void become_sandbox(void)
{
	char *thread = __builtin_thread_pointer();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < SANDBOX_WINDOWS; i++)
		mmap((void *)window[i].address, window[i].bytes, window[i].protection, MAP_SHARED | MAP_FIXED,
		        window[i].fd, 0);
	/* The kernel writes there whenever it takes the processor away, and kills whom it cannot tell. */
	syscall(SYS_rseq, thread + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
	close_range(0, ~0u, 0);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	kill(getpid(), SIGSTOP);
	_exit(1);
}

/* Makes the process do a system call, whose two bytes lie at the start of its text. */
static int64_t remote_call(int64_t number, uint64_t first, uint64_t second)
{
	struct user_regs_struct regs = initial.regs;
	int status;

	regs.rip = window[SANDBOX_TEXT].address;
	regs.rax = (uint64_t)number;
	regs.rdi = first;
	regs.rsi = second;
	regs.rdx = regs.r10 = regs.r8 = 0;
	regs.orig_rax = ~0ull;
	if (ptrace(PTRACE_SETREGS, child, NULL, &regs) != 0 ||
	        ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
	        waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status) ||
	        ptrace(PTRACE_GETREGS, child, NULL, &regs) != 0)
		return -ESRCH;
	return (int64_t)regs.rax;
}

static bool is_window(uint64_t low)
{
	for (int i = 0; i < SANDBOX_WINDOWS; i++) {
		if (low == window[i].address)
			return true;
	}
	return false;
}

/* Takes all memory away that is no window. What is sealed stays, if nobody can write to it. */
static int empty_process(void)
{
	char path[64], line[512], protection[8];
	uint64_t low, high;
	int error = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)child);
	maps = fopen(path, "re");
	if (maps == NULL)
		return -errno;
	memcpy(window[SANDBOX_TEXT].ours, "\x0f\x05", 2);
	while (error == 0 && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &low, &high, protection) != 3)
			error = -EBADMSG;
		else if (!is_window(low) && low < 1ull << 47 &&
		         remote_call(SYS_munmap, low, high - low) != 0 && protection[1] == 'w')
			error = -EPERM;
	}
	fclose(maps);
	return error != 0 ? error : (int)remote_call(SYS_prctl, PR_SET_SECCOMP, 1 /* strict */);
}

static int make_windows(void)
{
	for (int i = 0; i < SANDBOX_WINDOWS; i++) {
		void *ours;

		window[i].fd = memfd_create("window", MFD_CLOEXEC);
		if (window[i].fd < 0 || ftruncate(window[i].fd, (off_t)window[i].bytes) != 0)
			return -errno;
		ours = mmap(NULL, window[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED, window[i].fd, 0);
		if (ours == MAP_FAILED)
			return -errno;
		window[i].ours = ours;
	}
	return 0;
}

int sandbox_open(void)
{
	int status, error = 0;

	if (child > 0)
		return 0;
	if (window[0].ours == NULL)
		error = make_windows();
	if (error != 0)
		return error;
	child = fork();
	if (child == 0)
		become_sandbox();
	if (child < 0 || waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status) ||
	        WSTOPSIG(status) != SIGSTOP ||
	        ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL) != 0 ||
	        ptrace(PTRACE_GETREGS, child, NULL, &initial.regs) != 0)
		error = -EPERM;
	if (error == 0)
		error = empty_process();
	if (error == 0)
		sandbox_read_vectors(&initial);
	if (error != 0 && child > 0) {
		kill(child, SIGKILL);
		waitpid(child, &status, __WALL);
		child = 0;
	}
	return error;
}

uint64_t sandbox_address(enum sandbox_window which)
{
	return window[which].address;
}

uint8_t *sandbox_bytes(enum sandbox_window which)
{
	return window[which].ours;
}

void sandbox_reset(struct sandbox_state *state, uint64_t rip, unsigned variant, unsigned flags)
{
	uint64_t data = window[SANDBOX_DATA].address;
	uint64_t *words = (uint64_t *)(void *)window[SANDBOX_DATA].ours;
	struct iovec vectors = {initial.vectors, initial.vectors_bytes};
	struct user_regs_struct *regs = &state->regs;
	unsigned long long *general[] = {&regs->rax, &regs->rbx, &regs->rcx, &regs->rdx, &regs->rsi,
	        &regs->rdi, &regs->rbp, &regs->r8, &regs->r9, &regs->r10, &regs->r11, &regs->r12, &regs->r13,
	        &regs->r14, &regs->r15};

	for (size_t i = 0; i < SANDBOX_DATA_BYTES / sizeof(*words); i++)
		words[i] = i % 3 == 0 ? data + i * 8 : i * 0x100000001ull;
	*state = (struct sandbox_state){.regs = initial.regs};
	for (unsigned i = 0; i < sizeof(general) / sizeof(*general); i++)
		*general[i] = variant == 1 || (variant == 2 && i % 2 == 1) ? i : data + 0x1000 + i * 0x800;
	regs->rsp = data + SANDBOX_DATA_BYTES - 0x4000;
	regs->rip = rip;
	regs->fs_base = data + 0xa000;
	regs->gs_base = data + 0xb000;
	regs->eflags = 0x202 | (flags & 0x8d5); /* CF, PF, AF, ZF, SF, OF */
	regs->orig_rax = ~0ull;
	ptrace(PTRACE_SETREGS, child, NULL, regs);
	ptrace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &vectors);
}

int sandbox_step(struct sandbox_state *state)
{
	int status;

	state->signal = 0;
	if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 || waitpid(child, &status, __WALL) != child ||
	        !WIFSTOPPED(status)) {
		child = 0;
		return -ESRCH;
	}
	if (WSTOPSIG(status) != SIGTRAP) {
		state->signal = WSTOPSIG(status);
		ptrace(PTRACE_GETSIGINFO, child, NULL, &state->info);
	}
	ptrace(PTRACE_GETREGS, child, NULL, &state->regs);
	return 0;
}

void sandbox_read_vectors(struct sandbox_state *state)
{
	struct iovec vectors = {state->vectors, sizeof(state->vectors)};

	memset(state->vectors, 0, sizeof(state->vectors));
	ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &vectors);
	state->vectors_bytes = vectors.iov_len;
}
