/* SPDX-License-Identifier: MIT */
/*
 * Each instruction is as long as a jump, so exactly one is moved:
 *
 *	function:	bti or paciasp | instruction | the rest …
 *	becomes:	bti or paciasp | b           | the rest …
 *
 * Where indirect jumps must lead to a landing pad, the first instruction must stay. But paciasp signs the return address:
 * code that replaces the function begins with autiasp, and the trampoline with a paciasp of its own.
 */
#include "patch/decode.h"

#include "patch/a64.h"
#include "patch/parts.h"

#include <string.h>

enum { JUMP_BITS = 26, X16 = 16, X17 = 17, ARGUMENTS = 8, SCRATCH = 19, REGISTERS = 31 };

/* autiasp; nop, so that an address that follows is aligned as before */
static const uint8_t undo_paciasp[] = {0xbf, 0x23, 0x03, 0xd5, 0x1f, 0x20, 0x03, 0xd5};
static const uint8_t undo_pacibsp[] = {0xff, 0x23, 0x03, 0xd5, 0x1f, 0x20, 0x03, 0xd5};

_Static_assert(sizeof undo_paciasp == DECODE_UNDO_BYTES, "as decode.h says");

const uint64_t decode_jump_reach = 1ull << (JUMP_BITS + 1);

int decode_open(void)
{
	return 0;
}

void decode_close(void)
{
}

static bool leaves_image(const struct decode_code *code, uint64_t target)
{
	return target < code->image_low || target >= code->image_high;
}

/* Whether the code at offset `at` jumps to a register's address, after instructions that only set its parts. */
static bool is_jump_to(const struct decode_code *code, size_t at, unsigned number)
{
	struct a64 in;

	while (a64_read(code, at, &in) && (in.word & 0xff80001f) == (0xf2800000 | number)) /* movk */
		at += A64_BYTES;
	return a64_read(code, at, &in) && in.word == (0xd61f0000 | number << 5); /* br */
}

/* Whether the first instruction is another tool's hook: it leaves the object at once. */
static bool is_hook(const struct decode_code *code, size_t at, const struct a64 *in)
{
	unsigned number = a64_register(in->word);

	switch (in->kind) {
	case A64_BREAKPOINT:
		return true;
	case A64_JUMP:
	case A64_ADDRESS: /* of its own code there is an address in a register, too */
		return leaves_image(code, in->target);
	case A64_NEAR:
		return is_jump_to(code, at + A64_BYTES, number);
	case A64_PLAIN: /* movz */
		return (in->word & 0xff800000) == 0xd2800000 && (number == X16 || number == X17) &&
		       is_jump_to(code, at + A64_BYTES, number);
	default:
		return false;
	}
}

/* Why an instruction cannot run elsewhere. */
static enum decode_refusal refuse_to_move(const struct a64 *in)
{
	switch (in->kind) {
	case A64_UNKNOWN:
		return DECODE_UNKNOWN;
	case A64_CALL:
		return DECODE_CALL;
	case A64_NEAR:
		return DECODE_LOOP;
	default:
		return DECODE_FINE;
	}
}

/*
 * Whether the function branches to one of its first `end` bytes; a call of itself does not count, and from elsewhere
 * nothing that leads to its entry.
 */
static enum decode_refusal find_branch_back(const struct decode_code *code, size_t at, size_t end)
{
	struct a64_walk walk = {.code = code, .at = at};
	size_t limit = code->size != 0 ? code->size : code->available;
	struct a64 in;

	while (a64_next(&walk, &in)) {
		uint64_t offset = in.target - code->address;

		if (in.kind == A64_UNKNOWN)
			return DECODE_UNKNOWN;
		if ((in.kind == A64_BRANCH || in.kind == A64_JUMP || in.kind == A64_CALL) && offset < end &&
		        !(in.kind == A64_CALL && offset == 0))
			return DECODE_BRANCH_BACK;
		if ((in.kind == A64_BRANCH || in.kind == A64_JUMP) && offset >= limit &&
		        part_leads_back(code, in.target, 1, end))
			return DECODE_BRANCH_BACK;
	}
	return DECODE_FINE;
}

enum decode_refusal decode_prologue(const struct decode_code *code, struct decode_prologue *prologue)
{
	size_t limit = code->size != 0 ? code->size : code->available, skip = 0;
	enum decode_refusal refusal;
	struct a64 in;

	*prologue = (struct decode_prologue){.moved = A64_BYTES};
	if (limit < A64_BYTES)
		return DECODE_TOO_SHORT;
	if (!a64_read(code, 0, &in))
		return DECODE_UNKNOWN;
	if (in.kind == A64_LANDING) {
		skip = A64_BYTES;
		if (in.word == A64_PACIASP || in.word == A64_PACIBSP) {
			prologue->undo = in.word == A64_PACIASP ? undo_paciasp : undo_pacibsp;
			prologue->undo_bytes = DECODE_UNDO_BYTES;
		}
		if (limit < skip + A64_BYTES || !a64_read(code, skip, &in))
			return DECODE_TOO_SHORT;
	}
	refusal = is_hook(code, skip, &in) ? DECODE_HOOKED : refuse_to_move(&in);
	if (refusal != DECODE_FINE)
		return refusal;
	prologue->skip = (unsigned)skip;
	prologue->ends = in.kind == A64_JUMP || in.kind == A64_AWAY;
	return find_branch_back(code, skip, skip + A64_BYTES);
}

/* The word of a jump. False: `to` is out of reach. */
static bool jump_word(uint32_t *word, uint64_t from, uint64_t to)
{
	uint64_t distance = to - from;

	*word = 0x14000000 | (uint32_t)(distance >> 2 & ((1u << JUMP_BITS) - 1));
	return distance + decode_jump_reach < 2 * decode_jump_reach && distance % A64_BYTES == 0;
}

bool decode_put_jump(uint8_t *bytes, uint64_t from, uint64_t to)
{
	uint32_t word;
	bool is_in_reach = jump_word(&word, from, to);

	memcpy(bytes, &word, sizeof word);
	return is_in_reach;
}

void decode_put_far_jump(uint8_t *bytes, uint64_t to)
{
	static const uint32_t code[] = {0x58000050, 0xd61f0200}; /* ldr x16, 8; br x16 */

	memcpy(bytes, code, sizeof code);
	memcpy(bytes + sizeof code, &to, sizeof to);
}

/* adrp, and for adr an add. Returns the number of words; 0: the target is out of reach. */
static unsigned move_address(const struct a64 *in, uint64_t address, uint32_t *to)
{
	int64_t pages = ((int64_t)(in->target >> 12) - (int64_t)(address >> 12));
	unsigned number = a64_register(in->word);

	if (pages < -(1 << 20) || pages >= 1 << 20)
		return 0;
	to[0] = 0x90000000 | ((uint32_t)pages & 3) << 29 | ((uint32_t)pages >> 2 & 0x7ffff) << 5 | number;
	if (in->word >> 31 != 0)
		return 1;
	to[1] = 0x91000000 | (uint32_t)(in->target & 0xfff) << 10 | number << 5 | number;
	return 2;
}

/* The same condition, two words ahead. */
static uint32_t ahead(uint32_t word)
{
	bool is_bit_test = (word & 0x7e000000) == 0x36000000;

	return (word & ~((is_bit_test ? 0x3fffu : 0x7ffffu) << 5)) | 2 << 5;
}

enum decode_refusal decode_move(const struct decode_code *code, const struct decode_prologue *prologue,
        uint64_t address, uint8_t *moved, size_t *moved_bytes)
{
	uint64_t goes_on = code->address + prologue->skip + prologue->moved, at = address + prologue->skip;
	uint32_t word[DECODE_MOVED_BYTES / A64_BYTES];
	unsigned words = 1;
	bool is_in_reach = true;
	struct a64 in;

	if (!a64_read(code, prologue->skip, &in))
		return DECODE_UNKNOWN;
	memcpy(moved, code->bytes, prologue->skip);
	word[0] = in.word;
	if (in.kind == A64_ADDRESS) {
		words = move_address(&in, at, word);
	} else if (in.kind == A64_JUMP) {
		is_in_reach = jump_word(word, at, in.target);
	} else if (in.kind == A64_BRANCH) {
		/* branch 1f; b goes_on; 1: b target */
		word[0] = ahead(in.word);
		is_in_reach = jump_word(word + 1, at + A64_BYTES, goes_on) &&
		              jump_word(word + 2, at + 2 * A64_BYTES, in.target);
		words = 3;
	}
	if (words == 0)
		return DECODE_OUT_OF_RANGE;
	if (!prologue->ends && in.kind != A64_BRANCH) {
		is_in_reach &= jump_word(word + words, at + words * A64_BYTES, goes_on);
		words++;
	}
	memcpy(moved + prologue->skip, word, words * A64_BYTES);
	*moved_bytes = prologue->skip + words * A64_BYTES;
	return is_in_reach ? DECODE_FINE : DECODE_OUT_OF_RANGE;
}

/* A search for calls that lead away. */
struct search {
	unsigned left; /* instructions that may still be read */
	unsigned depth;
};

static bool searches(const struct decode_code *code, struct search *search);

/* A jump to where a table says stays in its function: its address is the sum of two registers. */
static bool is_by_table(const struct a64 *in, const struct a64 *before)
{
	return (before->word & 0xff200000) == 0x8b200000 && a64_register(before->word) == a64_base(in->word);
}

/* Whether an instruction calls, or jumps to for good, what the function's compiler cannot have seen. */
static bool is_away(
        const struct a64_walk *walk, const struct a64 *in, const struct a64 *before, struct search *search)
{
	const struct decode_code *code = walk->code;
	size_t limit = code->size != 0 ? code->size : code->available;
	struct decode_code part;
	bool is_found;

	if (in->kind == A64_AWAY)
		return (in->word & 0xfffffc1f) == 0xd61f0000 && !is_by_table(in, before); /* br */
	if (in->kind != A64_CALL && (in->kind != A64_JUMP || in->target - code->address < limit))
		return false;
	/* What is called at the very end does not return: compilers leave it out of account. */
	if (in->target == code->address || (in->kind == A64_CALL && walk->at == code->size))
		return false;
	if (in->target == 0 || search->depth == PARTS_DEPTH || !part_at(code, in->target, &part))
		return true;
	search->depth++;
	is_found = searches(&part, search);
	search->depth--;
	return is_found;
}

/* What cannot be read, or is more than is read, counts as found. */
static bool searches(const struct decode_code *code, struct search *search)
{
	struct a64_walk walk = {.code = code};
	struct a64 in, before = {0};

	for (; a64_next(&walk, &in); before = in) {
		if (search->left-- == 0 || in.kind == A64_UNKNOWN || is_away(&walk, &in, &before, search))
			return true;
	}
	return false;
}

bool decode_leads_away(const struct decode_code *code)
{
	return searches(code, &(struct search){.left = PARTS_INSTRUCTIONS});
}

/* What is known of registers while a function is read. */
struct values {
	bool is_known[REGISTERS + 1];
	uint64_t value[REGISTERS + 1];
	bool is_difference[REGISTERS + 1]; /* of something and a register */
	bool is_negated;                   /* an argument was */
};

/* Notes what an instruction writes to registers. */
static void note_values(struct values *values, const struct a64 *in)
{
	unsigned to = a64_register(in->word), from = a64_base(in->word);
	uint64_t base = values->value[from];
	bool was_known = values->is_known[from];
	struct a64_access access;

	if (in->kind == A64_CALL) {
		memset(values->is_known, 0, SCRATCH * sizeof *values->is_known);
		return;
	}
	if (a64_access(in->word, &access) && access.is_store)
		return;
	values->is_known[to] = false;
	values->is_difference[to] = (in->word & 0xff200000) == 0x4b000000 && from != REGISTERS; /* sub */
	values->is_negated |= (in->word & 0xffe0ffe0) == 0x4b0003e0;                            /* neg */
	if (in->kind == A64_ADDRESS) {
		values->is_known[to] = true;
		values->value[to] = in->target;
	} else if ((in->word & 0xffc00000) == 0x91000000 && to != REGISTERS) { /* add of a number */
		values->is_known[to] = was_known;
		values->value[to] = base + (in->word >> 10 & 0xfff);
	}
}

/* Whether an instruction changes a variable whose address is known, by what the argument says; if so, where it is. */
static bool is_subtraction(const struct values *values, const struct a64 *in, uint64_t *address)
{
	unsigned base = a64_base(in->word);

	if (in->kind == A64_CALL && in->target != 0) { /* of an atomic addition in another function */
		*address = values->value[1];
		return values->is_negated && values->is_known[1];
	}
	if ((in->word & 0xff20fc00) == 0xb8200000) { /* ldadd */
		*address = values->value[base];
		return values->is_negated && values->is_known[base];
	}
	*address = values->value[base] + (in->word >> 10 & 0xfff) * sizeof(uint32_t);
	return (in->word & 0xffc00000) == 0xb9000000 && values->is_known[base] && /* str */
	       values->is_difference[a64_register(in->word)];
}

/*
 * adrp x1, page; neg w0, w0; add x1, x1, number; then ldadd w0, w0, [x1], or a call of what does the same; or
 * adrp x2, page; ldr w1, [x2, number]; sub w1, w1, w20; str w1, [x2, number]
 */
enum decode_refusal decode_operand(const struct decode_code *code, uint64_t *address)
{
	struct a64_walk walk = {.code = code};
	struct values values = {0};
	bool is_found = false;
	uint64_t found;
	struct a64 in;

	while (a64_next(&walk, &in)) {
		if (in.kind == A64_UNKNOWN)
			return DECODE_UNKNOWN;
		if (is_subtraction(&values, &in, &found)) {
			if (is_found)
				return DECODE_MANY_OPERANDS;
			is_found = true;
			*address = found;
		}
		note_values(&values, &in);
	}
	return is_found ? DECODE_FINE : DECODE_NO_OPERAND;
}
