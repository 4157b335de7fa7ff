/* SPDX-License-Identifier: MIT */
/*
 * Runs the filter as the kernel would, for each system call that we might make: seccomp's subset of classic BPF, see
 * linux/filter.h and seccomp(2). An unknown instruction counts as deadly.
 */
#include "system/sandbox.h"

#include "system/warn.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#ifdef __aarch64__
#define MACHINE AUDIT_ARCH_AARCH64
#else
#define MACHINE AUDIT_ARCH_X86_64
#endif

enum { STEPS_MAX = BPF_MAXINSNS };

static _Atomic bool is_tight;

struct machine {
	const struct seccomp_data *data;
	uint32_t a, x, memory[BPF_MEMWORDS];
};

static bool load(struct machine *machine, const struct sock_filter *code, uint32_t *to)
{
	switch (BPF_MODE(code->code)) {
	case BPF_IMM:
		*to = code->k;
		return true;
	case BPF_MEM:
		*to = machine->memory[code->k % BPF_MEMWORDS];
		return true;
	case BPF_LEN:
		*to = sizeof *machine->data;
		return true;
	case BPF_ABS:
		if (code->k > sizeof *machine->data - sizeof *to)
			return false;
		memcpy(to, (const char *)machine->data + code->k, sizeof *to);
		return true;
	default:
		return false;
	}
}

static bool calculate(struct machine *machine, const struct sock_filter *code)
{
	uint32_t with = BPF_SRC(code->code) == BPF_X ? machine->x : code->k, *a = &machine->a;

	switch (BPF_OP(code->code)) {
	case BPF_ADD:
		*a += with;
		return true;
	case BPF_SUB:
		*a -= with;
		return true;
	case BPF_MUL:
		*a *= with;
		return true;
	case BPF_AND:
		*a &= with;
		return true;
	case BPF_OR:
		*a |= with;
		return true;
	case BPF_XOR:
		*a ^= with;
		return true;
	case BPF_LSH:
		*a = with < 32 ? *a << with : 0;
		return true;
	case BPF_RSH:
		*a = with < 32 ? *a >> with : 0;
		return true;
	case BPF_NEG:
		*a = -*a;
		return true;
	default:
		return false; /* filters do not divide */
	}
}

/* How many instructions to skip. */
static uint32_t jump(const struct machine *machine, const struct sock_filter *code)
{
	uint32_t with = BPF_SRC(code->code) == BPF_X ? machine->x : code->k;
	bool is_so;

	switch (BPF_OP(code->code)) {
	case BPF_JEQ:
		is_so = machine->a == with;
		break;
	case BPF_JGT:
		is_so = machine->a > with;
		break;
	case BPF_JGE:
		is_so = machine->a >= with;
		break;
	case BPF_JSET:
		is_so = (machine->a & with) != 0;
		break;
	default:
		return code->k;
	}
	return is_so ? code->jt : code->jf;
}

/* Runs one instruction that neither jumps nor returns. */
static bool step(struct machine *machine, const struct sock_filter *code)
{
	switch (BPF_CLASS(code->code)) {
	case BPF_LD:
		return load(machine, code, &machine->a);
	case BPF_LDX:
		return load(machine, code, &machine->x);
	case BPF_ST:
		machine->memory[code->k % BPF_MEMWORDS] = machine->a;
		return true;
	case BPF_STX:
		machine->memory[code->k % BPF_MEMWORDS] = machine->x;
		return true;
	case BPF_ALU:
		return calculate(machine, code);
	case BPF_MISC:
		*(BPF_MISCOP(code->code) == BPF_TAX ? &machine->x : &machine->a) =
		        BPF_MISCOP(code->code) == BPF_TAX ? machine->a : machine->x;
		return true;
	default:
		return false;
	}
}

static uint32_t run(const struct sock_fprog *filter, const struct seccomp_data *data)
{
	struct machine machine = {.data = data};
	const struct sock_filter *code;

	for (uint32_t at = 0, steps = 0; at < filter->len && steps < STEPS_MAX; at++, steps++) {
		code = &filter->filter[at];
		if (BPF_CLASS(code->code) == BPF_RET)
			return BPF_RVAL(code->code) == BPF_A ? machine.a : code->k;
		if (BPF_CLASS(code->code) == BPF_JMP)
			at += jump(&machine, code);
		else if (!step(&machine, code))
			break;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static bool is_deadly(uint32_t answer)
{
	switch (answer & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_LOG:
		return false;
	default:
		return true; /* SECCOMP_RET_USER_NOTIF too: the supervisor does not expect the call */
	}
}

void sandbox_know(const struct sock_fprog *filter)
{
	static const int calls[] = {SYS_madvise, SYS_futex, SYS_prlimit64, SYS_getrlimit, SYS_rt_sigprocmask,
	        SYS_rt_sigaction, SYS_getpid, SYS_gettid, SYS_prctl, SYS_openat, SYS_sched_yield};
	bool is_free = filter != NULL;

	for (size_t i = 0; i < sizeof calls / sizeof *calls && is_free; i++) {
		struct seccomp_data data = {.nr = calls[i], .arch = MACHINE};

		is_free = !is_deadly(run(filter, &data));
	}
	/* [is_tight] relaxed: the thread that installs a filter sees it, and the filter does not yet bind others. */
	if (!is_free && !atomic_exchange_explicit(&is_tight, true, memory_order_relaxed))
		warn_later(
		        "the program's filter forbids system calls that this library makes: no new stacks are pooled, and there will be no final records");
}

bool sandbox_is_tight(void)
{
	/* [is_tight] relaxed: see sandbox_know. */
	return atomic_load_explicit(&is_tight, memory_order_relaxed);
}
