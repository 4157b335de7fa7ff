/* SPDX-License-Identifier: MIT */
/*
 * The instructions of aarch64, which are called A64: each is one word, and masks tell its kind. Nothing is known of what
 * most of them compute; what matters is where execution continues, and what they say relative to their own address.
 *
 * No state; any thread, and any processor.
 */
#ifndef COPOOL_PATCH_A64_H
#define COPOOL_PATCH_A64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/decode.h"

enum { A64_BYTES = 4 }; /* of an instruction */

/* Those that sign the return address. */
#define A64_PACIASP 0xd503233fu
#define A64_PACIBSP 0xd503237fu

enum a64_kind {
	A64_PLAIN,      /* goes on with the next instruction, and means the same at any address */
	A64_BRANCH,     /* to `target` or the next instruction */
	A64_JUMP,       /* to `target` */
	A64_CALL,       /* of `target`; or, if that is 0, of a register's address */
	A64_AWAY,       /* returns, or jumps to a register's address */
	A64_ADDRESS,    /* adr and adrp: a register becomes `target` */
	A64_NEAR,       /* loads what lies at `target` */
	A64_LANDING,    /* bti, paciasp, pacibsp: indirect calls may lead to it */
	A64_BREAKPOINT, /* brk: a debugger's, or where execution must not come */
	A64_UNKNOWN,    /* none, or one that may be about its own address */
};

struct a64 {
	uint32_t word;
	enum a64_kind kind;
	uint64_t target;
};

/* A memory operand of a store or load. */
struct a64_access {
	bool is_store;
	bool is_exact;        /* its address is the base and a number: `displacement` and `bytes` are set */
	bool is_pair;         /* of two registers: the second is in bits 10 to 14 */
	bool changes_base;    /* adds to the base as well */
	unsigned base;        /* the number of the register */
	int32_t displacement; /* bytes */
	unsigned bytes;       /* of both if it is a pair */
};

/* The register in the lowest bits: what most instructions write to, and stores read. */
static inline unsigned a64_register(uint32_t word)
{
	return word & 31;
}

/* The register in bits 5 to 9: the base of loads and stores. */
static inline unsigned a64_base(uint32_t word)
{
	return word >> 5 & 31;
}

/* Makes `word` an instruction at an address. */
struct a64 a64_decode(uint32_t word, uint64_t address);

/* Reads the instruction at offset `at` of `code`. False: there is none. */
bool a64_read(const struct decode_code *code, size_t at, struct a64 *in);

/* Reads what a load or store says of memory. False: the instruction is neither. */
bool a64_access(uint32_t word, struct a64_access *access);

/* A pass over the instructions of a function, in the order of their addresses. */
struct a64_walk {
	const struct decode_code *code;
	size_t at;       /* of the next instruction */
	size_t furthest; /* the function continues at least to here: a branch goes there */
	bool is_over;
};

/* Reads the next instruction. False: the function ends, as walk_next() in patch/instruction.h says. */
bool a64_next(struct a64_walk *walk, struct a64 *in);

#endif
