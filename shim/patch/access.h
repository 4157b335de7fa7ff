/* SPDX-License-Identifier: MIT */
/*
 * The memory operand of an instruction, read from the instruction's bytes: the decoder's own description differs
 * between its versions. x86-64; the forms that compilers use for moves between registers and memory.
 */
#ifndef COPOOL_PATCH_ACCESS_H
#define COPOOL_PATCH_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "patch/instruction.h"

/* An instruction with one memory operand, at `displacement` from a register. */
struct access {
	unsigned opcode;          /* 0x0f00 | opcode for opcodes of two bytes */
	unsigned reg;             /* the number of the other operand, or a part of the opcode */
	unsigned base;            /* the number of the register */
	int32_t displacement;     /* bytes */
	unsigned bytes;           /* of the memory operand */
	const uint8_t *immediate; /* the bytes behind the operand */
	unsigned immediate_bytes;
};

/* Reads an instruction. False: it has another form, or its address is not a register plus a number. */
bool access_read(const struct instruction *in, struct access *access);

#endif
