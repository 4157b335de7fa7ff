/* SPDX-License-Identifier: MIT */
/*
 * Calls code with all general registers set, and says what they are when it returns: for code that must keep them.
 * One thread at a time.
 */
#ifndef COPOOL_TESTS_UNIT_REGISTERS_H
#define COPOOL_TESTS_UNIT_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

enum { REGISTERS = 16, STACK_POINTER = 4 };

/*
 * As instructions number them. For the stack pointer: before the call, how many bytes below a multiple of 16 it
 * shall be at the call; after it, how far it has moved.
 */
struct registers {
	uint64_t value[REGISTERS];
};

extern struct registers registers_now;
void registers_call_now(const void *code);

/* clang-format off */
#define REGISTERS_EACH(X)                                                                                    \
	X("%rax", 0x00) X("%rcx", 0x08) X("%rdx", 0x10) X("%rbx", 0x18) X("%rbp", 0x28) X("%rsi", 0x30)      \
	X("%rdi", 0x38) X("%r8", 0x40) X("%r9", 0x48) X("%r10", 0x50) X("%r11", 0x58) X("%r12", 0x60)        \
	X("%r13", 0x68) X("%r14", 0x70) X("%r15", 0x78)
#define REGISTERS_LOAD(name, at)  "mov registers_now + " #at "(%rip), " name "\n"
#define REGISTERS_STORE(name, at) "mov " name ", registers_now + " #at "(%rip)\n"

asm(".pushsection .bss\n .balign 16\n registers_now: .skip 128\n"
    "registers_frame: .skip 8\n registers_before: .skip 8\n registers_code: .skip 8\n .popsection\n"
    ".pushsection .text\n .type registers_call_now, @function\n registers_call_now:\n endbr64\n"
    "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp, registers_frame(%rip)\n mov %rdi, registers_code(%rip)\n"
    "and $-16, %rsp\n sub registers_now + 0x20(%rip), %rsp\n mov %rsp, registers_before(%rip)\n"
    REGISTERS_EACH(REGISTERS_LOAD)
    "call *registers_code(%rip)\n"
    REGISTERS_EACH(REGISTERS_STORE)
    "mov %rsp, %rax\n sub registers_before(%rip), %rax\n mov %rax, registers_now + 0x20(%rip)\n"
    "mov registers_frame(%rip), %rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
    ".size registers_call_now, . - registers_call_now\n .popsection\n");
/* clang-format on */

/* Values that nothing has by chance. */
static inline struct registers registers_odd(void)
{
	struct registers odd;

	for (unsigned i = 0; i < REGISTERS; i++)
		odd.value[i] = 0x5a5a000000000000 + i * 0x0101010101;
	odd.value[STACK_POINTER] = 0;
	return odd;
}

/* Calls `code` with these registers, and leaves in them what they are then. */
static inline void registers_call(struct registers *registers, const void *code)
{
	registers_now = *registers;
	registers_call_now(code);
	*registers = registers_now;
}

/* Whether all but those of the bits in `changed` are the same, and the stack pointer where it was. */
static inline bool registers_are_kept(
        const struct registers *before, const struct registers *after, unsigned changed)
{
	bool are_kept = after->value[STACK_POINTER] == 0;

	for (unsigned i = 0; i < REGISTERS; i++) {
		if (i != STACK_POINTER && (changed >> i & 1) == 0)
			are_kept &= before->value[i] == after->value[i];
	}
	return are_kept;
}

#endif
