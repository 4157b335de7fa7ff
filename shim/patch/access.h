/* SPDX-License-Identifier: MIT */
/*
 * The operand in memory that an instruction has, by the bytes of the instruction: the decoder's own words for it
 * differ between its versions. x86-64; the forms that compilers use for moves between registers and memory.
 */
#ifndef COPOOL_PATCH_ACCESS_H
#define COPOOL_PATCH_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "patch/instruction.h"

/* An instruction with one operand in memory, at `displacement` from a register. */
struct access {
	unsigned opcode;          /* 0x0f00 | opcode for those of two bytes */
	unsigned reg;             /* the other operand's number, or a part of the opcode */
	unsigned base;            /* the register's number */
	int32_t displacement;     /* bytes */
	unsigned bytes;           /* of the memory */
	const uint8_t *immediate; /* what follows the operand */
	unsigned immediate_bytes;
};

/* Reads an instruction; false when it has another form, or an address that is no register's and a number. */
bool access_read(const struct instruction *in, struct access *access);

#endif
