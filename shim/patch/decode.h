/* SPDX-License-Identifier: MIT */
/*
 * What the first instructions of a function are, whether they can run elsewhere, and what they look like there. Reads
 * the bytes that it is given and writes to a buffer: it never reads or changes the program itself.
 *
 * decode_x86.c and decode_aarch64.c; what both share is in decode.c. For x86-64, Zydis is loaded while patches are
 * planned, and unloaded afterwards (patch/instruction.c). One thread, at constructor time.
 */
#ifndef COPOOL_PATCH_DECODE_H
#define COPOOL_PATCH_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tests read code for aarch64 on other processors, too. */
#if defined(__aarch64__) || defined(DECODE_FOR_AARCH64)
enum {
	DECODE_JUMP_BYTES = 4,      /* b */
	DECODE_FAR_JUMP_BYTES = 16, /* ldr x16, address; br x16; the address */
	DECODE_MOVED_BYTES = 32,    /* the room that decode_move() needs at most */
	DECODE_UNDO_BYTES = 8,
};
#else
enum {
	DECODE_JUMP_BYTES = 5,      /* jmp rel32 */
	DECODE_FAR_JUMP_BYTES = 14, /* jmp *0(%rip); the address */
	DECODE_MOVED_BYTES = 48,
	DECODE_UNDO_BYTES = 0,
};
#endif

/* How far up and down a jump reaches. */
extern const uint64_t decode_jump_reach;

/* Why a function cannot be patched. */
enum decode_refusal {
	DECODE_FINE = 0,
	DECODE_NO_DECODER,    /* decode_open() was not called, or failed */
	DECODE_TOO_SHORT,     /* other code begins within the bytes of the jump */
	DECODE_TOO_LONG,      /* it has more branches than are checked */
	DECODE_UNKNOWN,       /* bytes that are no known instruction */
	DECODE_PRIVILEGED,    /* an instruction that programs may not execute */
	DECODE_CALL,          /* a call: its return address would lie in the trampoline */
	DECODE_LOOP,          /* loop, jrcxz, xbegin; ldr of what lies near by: there is no long form */
	DECODE_BRANCH_BACK,   /* the function branches to the bytes that are moved or overwritten */
	DECODE_OVERLAP,       /* the function branches into the middle of one of its instructions */
	DECODE_HOOKED,        /* another tool has already patched the entry */
	DECODE_OUT_OF_RANGE,  /* a target is too far away from the trampoline */
	DECODE_NO_OPERAND,    /* decode_operand(): no such instruction */
	DECODE_MANY_OPERANDS, /* decode_operand(): more than one */
};

/* The code of a function. It runs at `address`; `bytes` may be a copy. */
struct decode_code {
	const uint8_t *bytes;
	uint64_t address;
	size_t size;        /* bytes of the function; 0: unknown */
	size_t available;   /* bytes that may be read: `size` or more */
	uint64_t text_low;  /* its executable segment … */
	uint64_t text_high; /* … and the byte behind it */
	uint64_t image_low; /* its object: a first jump that leaves it is another tool's hook */
	uint64_t image_high;
};

/* The instructions that make room for a jump. */
struct decode_prologue {
	unsigned skip; /* bytes of a leading endbr64, bti or paciasp, 0 or 4; it stays, the jump follows it */
	unsigned moved; /* bytes of the instructions behind it that must run elsewhere; padding may follow */
	bool ends;      /* the last of them returns or jumps away */
	bool is_torn;   /* the first instruction of all is shorter than the jump in its place */
	/* What undoes the leading instruction: code that replaces the function must begin with it. */
	unsigned undo_bytes; /* at most DECODE_UNDO_BYTES */
	const uint8_t *undo;
};

/*
 * For x86-64, loads Zydis. 0, or -ENOENT (not installed), -EACCES (it may not be opened or mapped), -ELIBBAD (an unknown
 * version). May be called again. For aarch64 nothing is needed.
 */
int decode_open(void);

/* Unloads it. */
void decode_close(void);

/* Finds what a jump at the function's entry would overwrite, or why that cannot be moved. */
enum decode_refusal decode_prologue(const struct decode_code *code, struct decode_prologue *prologue);

/*
 * Writes the prologue as it must be at `address`: its leading endbr64 or the like, the instructions, and a jump back
 * unless it ends. `moved` must have room for DECODE_MOVED_BYTES; sets `*moved_bytes` to the bytes written.
 */
enum decode_refusal decode_move(const struct decode_code *code, const struct decode_prologue *prologue,
        uint64_t address, uint8_t *moved, size_t *moved_bytes);

/*
 * Finds the variable of 32 bits that the function subtracts its argument from, if there is one, in the whole function
 * (up to its first return if the size is unknown).
 */
enum decode_refusal decode_operand(const struct decode_code *code, uint64_t *address);

/*
 * Whether the function calls code of other objects, or through pointers. If not, its compiler has seen all that runs in
 * a call of it, and callers in the same file may rely on what it does: on registers that it leaves unchanged (gcc's
 * -fipa-ra), and on a stack that needs no alignment (-fipa-stack-alignment). Then nothing else can take its place.
 */
bool decode_leads_away(const struct decode_code *code);

/* Writes a jump of DECODE_JUMP_BYTES that lies at `from`. False: `to` is out of reach. */
bool decode_put_jump(uint8_t *bytes, uint64_t from, uint64_t to);

/* Writes a jump of DECODE_FAR_JUMP_BYTES, which reaches any address and can lie anywhere. */
void decode_put_far_jump(uint8_t *bytes, uint64_t to);

/* A sentence for the log, without a full stop. */
const char *decode_refusal_text(enum decode_refusal refusal);

#endif
