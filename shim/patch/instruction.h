/* SPDX-License-Identifier: MIT */
/*
 * The instructions of a function, one after another: where each continues, and which of its bytes are relative to its
 * own address. The rest of patch/, and adapters that look at a program's code, need no more of what Zydis says.
 *
 * Only what means the same in Zydis 4.0 and 4.1 is read: opcodes and offsets, never mnemonics or registers, whose
 * numbers differ. decode_open() loads Zydis, see patch/decode.h. One thread.
 */
#ifndef COPOOL_PATCH_INSTRUCTION_H
#define COPOOL_PATCH_INSTRUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/decode.h"

/* Where execution continues. */
enum flow {
	FLOW_NEXT,
	FLOW_BRANCH, /* to `target` or the next instruction */
	FLOW_JUMP,   /* to `target` */
	FLOW_CALL,
	FLOW_LOOP,       /* as FLOW_BRANCH, without a long form */
	FLOW_AWAY,       /* returns, jumps to a register's or memory's address, or stops */
	FLOW_BREAKPOINT, /* int3: a debugger's, or padding */
};

struct instruction {
	const uint8_t *bytes;
	unsigned length;
	enum flow flow;
	bool is_privileged;
	bool is_indirect; /* a call or jump to a register's or memory's address */
	bool is_odd;      /* an operand or address size that does not match a relative offset */
	bool is_padding;  /* int3, or a nop that compilers use as padding */
	bool is_rip_sub;  /* sub %r32, disp(%rip) */
	unsigned offset;  /* of the bytes that are relative to the end of the instruction */
	unsigned size;    /* the number of these bytes: 0 (none), 1 or 4 */
	uint64_t target;  /* the address that they encode */
};

/* A pass over the instructions of a function, in the order of their addresses. */
struct walk {
	const struct decode_code *code;
	size_t at;       /* of the next instruction */
	size_t limit;    /* the end, at the latest */
	size_t furthest; /* the function continues at least to here: a branch goes there */
	bool is_over;
};

/* Whether Zydis is loaded. If not, the caller must not call the functions below. */
bool instruction_can_read(void);

/* Reads the instruction at offset `at` of `code`. False: the bytes there are none. */
bool instruction_read(const struct decode_code *code, size_t at, struct instruction *in);

/* Starts a pass at offset `at`. */
struct walk walk_begin(const struct decode_code *code, size_t at);

/*
 * Reads the next instruction. False: the function ends. If its size is unknown, it ends where execution cannot
 * continue and no branch has led past. A failure to decode ends the pass too, and sets `*refusal`, which is unchanged
 * otherwise.
 */
bool walk_next(struct walk *walk, struct instruction *in, enum decode_refusal *refusal);

#endif
