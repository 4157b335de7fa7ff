/* SPDX-License-Identifier: MIT */
/*
 * What the first instructions of a function are, whether they can run elsewhere, and what they look like
 * there. Reads bytes that it is given and writes bytes to a buffer: it never looks at or changes the program
 * itself.
 *
 * Zydis is loaded while patches are planned and unloaded afterwards (patch/instruction.c). One thread, at
 * constructor time.
 */
#ifndef COPOOL_PATCH_DECODE_H
#define COPOOL_PATCH_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DECODE_JUMP_BYTES = 5,   /* jmp rel32 */
	DECODE_MOVED_BYTES = 48, /* room that decode_move() needs at most */
};

/* Why a function is left alone. */
enum decode_refusal {
	DECODE_FINE = 0,
	DECODE_NO_DECODER,    /* decode_open() was not called, or failed */
	DECODE_TOO_SHORT,     /* other code begins within the bytes that the jump needs */
	DECODE_TOO_LONG,      /* it has more branches than are looked at */
	DECODE_UNKNOWN,       /* bytes that are no instruction */
	DECODE_PRIVILEGED,    /* an instruction that no program may execute */
	DECODE_CALL,          /* a call: its return address would lie in the trampoline */
	DECODE_LOOP,          /* loop, jrcxz, xbegin: they have no long form */
	DECODE_BRANCH_BACK,   /* the function jumps to the bytes that are moved or overwritten */
	DECODE_OVERLAP,       /* the function jumps into the middle of one of its instructions */
	DECODE_HOOKED,        /* somebody else has already patched the entry */
	DECODE_OUT_OF_RANGE,  /* what an instruction refers to is over 2 GiB away from the trampoline */
	DECODE_NO_OPERAND,    /* decode_rip_operand(): no such instruction */
	DECODE_MANY_OPERANDS, /* decode_rip_operand(): more than one */
};

/* A function's code. `address` is where it runs; `bytes` may be a copy. */
struct decode_code {
	const uint8_t *bytes;
	uint64_t address;
	size_t size;        /* bytes of the function; 0: unknown */
	size_t available;   /* bytes that may be read; at least `size` */
	uint64_t text_low;  /* the executable segment it lies in … */
	uint64_t text_high; /* … up to, not including */
	uint64_t image_low; /* its whole object: a first jump that leaves it is somebody else's hook */
	uint64_t image_high;
};

/* The instructions that make room for a jump. */
struct decode_prologue {
	unsigned skip;  /* bytes of a leading endbr64, which stays: 0 or 4. The jump goes behind it */
	unsigned moved; /* bytes of whole instructions behind it that must run elsewhere; they may be fewer
	                   than the jump's where padding lies behind the last */
	bool ends;      /* the last of them returns or jumps away: nothing to go back to */
};

/* Loads Zydis. 0, or -ENOENT (not installed), -ELIBBAD (a version of another layout). May be called again. */
int decode_open(void);

/* Unloads it. */
void decode_close(void);

/* Finds what a 5-byte jump at the function's entry would overwrite; says no when that cannot be moved. */
enum decode_refusal decode_prologue(const struct decode_code *code, struct decode_prologue *prologue);

/*
 * Writes the prologue as it must be at `address`: an endbr64 if it has one, the instructions, and a jump back
 * behind them unless it ends. `moved` has room for DECODE_MOVED_BYTES; `*moved_bytes` says how many were
 * used.
 */
enum decode_refusal decode_move(const struct decode_code *code, const struct decode_prologue *prologue,
        uint64_t address, uint8_t *moved, size_t *moved_bytes);

/*
 * Finds the variable that the function subtracts a register from: the one `sub %r32, disp(%rip)`, with or
 * without lock, in the whole function (up to its first return when the size is unknown).
 */
enum decode_refusal decode_rip_operand(const struct decode_code *code, uint64_t *address);

/*
 * Writes the four bytes of an instruction's distance to `to`, which counts from `from`, the end of the
 * instruction; false when four bytes cannot hold it.
 */
bool decode_put_distance(uint8_t *bytes, uint64_t from, uint64_t to);

/* Writes a `jmp rel32` of DECODE_JUMP_BYTES that lies at `from`; false when `to` is out of its reach. */
bool decode_put_jump(uint8_t *bytes, uint64_t from, uint64_t to);

/* A sentence for the log, without a full stop. */
const char *decode_refusal_text(enum decode_refusal refusal);

#endif
