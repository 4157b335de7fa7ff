/* SPDX-License-Identifier: MIT */
/* Masks as in the tables of the Arm Architecture Reference Manual, C4.1: "A64 instruction set encoding". */
#include "patch/a64.h"

#include <string.h>

static const uint32_t bti = 0xd503241f, bti_targets = 0xc0; /* c, j and both */

/* A signed number of `bits` bits, of which the lowest is bit `low`. */
static int64_t number(uint32_t word, unsigned low, unsigned bits)
{
	return (int64_t)((uint64_t)word << (64 - low - bits)) >> (64 - bits);
}

/* Data processing with a number. */
static void decode_immediate(struct a64 *in, uint64_t address)
{
	uint32_t word = in->word;
	int64_t distance = number(word, 5, 19) * 4 | (word >> 29 & 3);

	if ((word & 0x1f000000) == 0x10000000) {
		in->kind = A64_ADDRESS;
		in->target = word >> 31 != 0 ? (address & ~0xfffull) + ((uint64_t)distance << 12)
		                             : address + (uint64_t)distance;
	} else if ((word & 0x1f800000) == 0x13800000 && (word >> 29 & 3) != 0) {
		in->kind = A64_UNKNOWN; /* autiasp with an address, and what is not yet given out; not extr */
	}
}

static void decode_system(struct a64 *in)
{
	uint32_t word = in->word;

	if ((word & 0xffe0001f) == 0xd4200000) /* brk */
		in->kind = A64_BREAKPOINT;
	else if (word == A64_PACIASP || word == A64_PACIBSP || (word & ~bti_targets) == bti)
		in->kind = A64_LANDING;
	else if ((word & 0xffc00000) != 0xd5000000 && (word & 0xffe0001f) != 0xd4000001) /* not even svc */
		in->kind = A64_UNKNOWN;
}

/* br, blr, ret and those of them that authenticate. */
static enum a64_kind kind_by_register(uint32_t word)
{
	switch (word >> 21 & 15) {
	case 0: /* br */
	case 2: /* ret */
	case 8:
		return A64_AWAY;
	case 1: /* blr */
	case 9:
		return A64_CALL;
	default:
		return A64_UNKNOWN;
	}
}

static void decode_branch(struct a64 *in, uint64_t address)
{
	uint32_t word = in->word;

	switch (word >> 24) {
	case 0x14 ... 0x17: /* b, bl */
	case 0x94 ... 0x97:
		in->kind = word >> 31 != 0 ? A64_CALL : A64_JUMP;
		in->target = address + (uint64_t)number(word, 0, 26) * 4;
		break;
	case 0x34 ... 0x35: /* cbz, cbnz */
	case 0xb4 ... 0xb5:
	case 0x54: /* b.cond */
		in->kind = A64_BRANCH;
		in->target = address + (uint64_t)number(word, 5, 19) * 4;
		break;
	case 0x36 ... 0x37: /* tbz, tbnz */
	case 0xb6 ... 0xb7:
		in->kind = A64_BRANCH;
		in->target = address + (uint64_t)number(word, 5, 14) * 4;
		break;
	case 0xd4 ... 0xd5:
		decode_system(in);
		break;
	case 0xd6 ... 0xd7:
		in->kind = kind_by_register(word);
		break;
	default:
		in->kind = A64_UNKNOWN;
		break;
	}
}

struct a64 a64_decode(uint32_t word, uint64_t address)
{
	struct a64 in = {.word = word, .kind = A64_PLAIN};

	switch (word >> 25 & 15) {
	case 8 ... 9:
		decode_immediate(&in, address);
		break;
	case 10 ... 11:
		decode_branch(&in, address);
		break;
	case 4: /* loads and stores; with 6 and 14, of vector registers */
	case 6:
	case 12:
	case 14:
		if ((word & 0x3b000000) == 0x18000000) {
			in.kind = A64_NEAR;
			in.target = address + (uint64_t)number(word, 5, 19) * 4;
		}
		break;
	case 5: /* data processing of registers; paciasp with an address is among it */
	case 13:
		if ((word & 0xffff8000) == 0xdac18000)
			in.kind = A64_UNKNOWN;
		break;
	case 7: /* floating point, and vectors */
	case 15:
		break;
	default: /* not given out, or scalable vectors and matrices */
		in.kind = A64_UNKNOWN;
		break;
	}
	return in;
}

bool a64_read(const struct decode_code *code, size_t at, struct a64 *in)
{
	uint32_t word;

	if (code->available < A64_BYTES || at > code->available - A64_BYTES || at % A64_BYTES != 0)
		return false;
	memcpy(&word, code->bytes + at, sizeof word);
	*in = a64_decode(word, code->address + at);
	return true;
}

/* Of two registers. */
static void access_pair(uint32_t word, struct a64_access *access)
{
	bool is_vector = (word >> 26 & 1) != 0;
	unsigned size = is_vector ? 4u << (word >> 30) : word >> 31 != 0 ? 8 : 4;

	access->is_pair = true;
	access->is_store = (word >> 22 & 1) == 0;
	access->is_exact = (word >> 30 & 1) == 0 || is_vector;
	access->changes_base = (word >> 23 & 1) != 0;
	access->bytes = 2 * size;
	/* Afterwards, the number is added to the base. */
	access->displacement = (word >> 23 & 3) == 1 ? 0 : (int32_t)number(word, 15, 7) * (int32_t)size;
}

bool a64_access(uint32_t word, struct a64_access *access)
{
	bool is_vector = (word >> 26 & 1) != 0, is_wide = is_vector && (word >> 23 & 1) != 0;
	unsigned mode = word >> 10 & 3;

	if ((word >> 25 & 5) != 4 || (word & 0x3b000000) == 0x18000000)
		return false;
	*access = (struct a64_access){.base = a64_base(word)};
	if ((word & 0x3a000000) == 0x28000000) {
		access_pair(word, access);
		return true;
	}
	access->bytes = is_wide ? 16 : 1u << (word >> 30);
	access->is_store = (word >> 22 & 1) == 0 && (is_vector || (word >> 23 & 1) == 0);
	if ((word & 0x3b000000) == 0x39000000) {
		access->is_exact = true;
		access->displacement = (int32_t)((word >> 10 & 0xfff) * access->bytes);
	} else if ((word & 0x3b200000) == 0x38000000) {
		access->is_exact = true;
		access->changes_base = (mode & 1) != 0;
		access->displacement = mode == 1 ? 0 : (int32_t)number(word, 12, 9);
	} else if ((word & 0x3b200c00) != 0x38200800) {
		access->is_store = true; /* atomic, exclusive, of several vectors, … */
		access->changes_base = is_vector;
	}
	return true;
}

bool a64_next(struct a64_walk *walk, struct a64 *in)
{
	const struct decode_code *code = walk->code;
	size_t limit = code->size != 0 ? code->size : code->available;

	if (walk->is_over || limit < A64_BYTES || walk->at > limit - A64_BYTES ||
	        !a64_read(code, walk->at, in))
		return false;
	walk->at += A64_BYTES;
	if (code->size != 0)
		return true;
	if ((in->kind == A64_BRANCH || in->kind == A64_JUMP) && in->target - code->address < limit &&
	        in->target - code->address > walk->furthest)
		walk->furthest = in->target - code->address;
	if (in->kind == A64_JUMP || in->kind == A64_AWAY || in->kind == A64_BREAKPOINT)
		walk->is_over = walk->at > walk->furthest;
	return true;
}
