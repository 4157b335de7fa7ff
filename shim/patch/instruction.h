/* SPDX-License-Identifier: MIT */
/*
 * The instructions of a function, one after the other: where each goes, and which of its bytes count from its
 * own place. What Zydis says is boiled down to these few words; the rest of patch/, and the adapters that look
 * into a program's code, work on them.
 *
 * Only what means the same in Zydis 4.0 and 4.1 is read: opcodes and offsets, never mnemonics or registers,
 * whose numbers differ. Zydis is loaded by decode_open(); see patch/decode.h. One thread.
 */
#ifndef COPOOL_PATCH_INSTRUCTION_H
#define COPOOL_PATCH_INSTRUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/decode.h"

/* Where execution goes on. */
enum flow {
	FLOW_NEXT,
	FLOW_BRANCH, /* to `target` or the next instruction */
	FLOW_JUMP,   /* to `target` */
	FLOW_CALL,
	FLOW_LOOP,       /* as FLOW_BRANCH, with no long form */
	FLOW_AWAY,       /* returns, jumps to what a register or memory says, or stops */
	FLOW_BREAKPOINT, /* int3: a debugger's, or padding */
};

struct instruction {
	const uint8_t *bytes;
	unsigned length;
	enum flow flow;
	bool is_privileged;
	bool is_odd;     /* an operand or address size that does not go with a relative offset */
	bool is_padding; /* int3 or a nop that compilers fill gaps with */
	bool is_rip_sub; /* sub %r32, disp(%rip) */
	unsigned offset; /* of the bytes that count from the end of the instruction */
	unsigned size;   /* of these bytes: 0 (none), 1 or 4 */
	uint64_t target; /* the address that they mean */
};

/* A pass over the instructions of a function, in the order they lie. */
struct walk {
	const struct decode_code *code;
	size_t at;       /* of the next instruction */
	size_t limit;    /* where to stop at the latest */
	size_t furthest; /* where the function goes on for sure: a branch has led there */
	bool is_over;
};

/* Whether Zydis is loaded; nothing below may be called otherwise. */
bool instruction_can_read(void);

/* Reads the instruction at the offset `at` of `code`; false when the bytes there are none. */
bool instruction_read(const struct decode_code *code, size_t at, struct instruction *in);

/* A pass that begins at the offset `at`. */
struct walk walk_begin(const struct decode_code *code, size_t at);

/*
 * Reads the next instruction; false at the end of the function. Where its size is unknown, that is the first
 * place where execution cannot go on and no branch has led past. A failure to decode ends the pass as well and
 * sets `*refusal`, which is left alone otherwise.
 */
bool walk_next(struct walk *walk, struct instruction *in, enum decode_refusal *refusal);

#endif
