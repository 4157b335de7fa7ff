/* SPDX-License-Identifier: MIT */
/* What libunwind calls the processor and its registers. */
#ifndef COPOOL_REPORT_ORIGINS_REGISTERS_H
#define COPOOL_REPORT_ORIGINS_REGISTERS_H

#include <libunwind.h>
#include <stdint.h>
#include <ucontext.h>

/* REGISTERS_RULE_BYTES: room for what libunwind works out about a call; in 1.6 it is 904 and 224. */
#ifdef __aarch64__

#define REGISTERS_OF "aarch64"
enum { REGISTERS = UNW_AARCH64_PC + 1, REGISTERS_RULE_BYTES = 1528, REGISTERS_SWAP_BYTES = 512 };

/* The value of a register, whose number is below REGISTERS, after swapcontext() has saved them. */
static inline uint64_t registers_get(const ucontext_t *from, int number)
{
	switch (number) {
	case UNW_AARCH64_SP:
		return from->uc_mcontext.sp;
	case UNW_AARCH64_PC:
		/* glibc's swapcontext comes back inside itself, and then returns to what is in x1. */
		if (from->uc_mcontext.pc - (uintptr_t)swapcontext < REGISTERS_SWAP_BYTES)
			return from->uc_mcontext.regs[1];
		return from->uc_mcontext.pc;
	default:
		return from->uc_mcontext.regs[number];
	}
}

#else

#define REGISTERS_OF "x86_64"
enum { REGISTERS = UNW_X86_64_RIP + 1, REGISTERS_RULE_BYTES = 504 };

static inline uint64_t registers_get(const ucontext_t *from, int number)
{
	static const int registers[] = {
	        [UNW_X86_64_RAX] = REG_RAX,
	        [UNW_X86_64_RDX] = REG_RDX,
	        [UNW_X86_64_RCX] = REG_RCX,
	        [UNW_X86_64_RBX] = REG_RBX,
	        [UNW_X86_64_RSI] = REG_RSI,
	        [UNW_X86_64_RDI] = REG_RDI,
	        [UNW_X86_64_RBP] = REG_RBP,
	        [UNW_X86_64_RSP] = REG_RSP,
	        [UNW_X86_64_R8] = REG_R8,
	        [UNW_X86_64_R9] = REG_R9,
	        [UNW_X86_64_R10] = REG_R10,
	        [UNW_X86_64_R11] = REG_R11,
	        [UNW_X86_64_R12] = REG_R12,
	        [UNW_X86_64_R13] = REG_R13,
	        [UNW_X86_64_R14] = REG_R14,
	        [UNW_X86_64_R15] = REG_R15,
	        [UNW_X86_64_RIP] = REG_RIP,
	};

	return (uint64_t)from->uc_mcontext.gregs[registers[number]];
}

#endif

#endif
