/* SPDX-License-Identifier: MIT */
/*
 * Moves the instructions at a function's entry. What each of them is, patch/instruction.h says.
 *
 *	function:	endbr64 | moved instructions            | the rest …
 *	                          ^ skip                          ^ skip + moved
 *	becomes:	endbr64 | jmp rel32 | unused            | the rest …
 */
#include "patch/decode.h"

#include "patch/instruction.h"
#include "patch/parts.h"

#include <string.h>

enum {
	ENDBR_BYTES = 4,
	FUNCTION_ALIGNMENT = 16, /* padding reaches to the next such address, not beyond */
	STARTS_BYTES = 1 << 16,  /* how much of a function is searched for code inside other instructions */
	BRANCHES_MOST = 4096,
	LEAVING_MOST = 64,
};

const uint64_t decode_jump_reach = 1ull << 31;

static const uint8_t endbr64[ENDBR_BYTES] = {0xf3, 0x0f, 0x1e, 0xfa};

/* Whether the first instruction is another tool's hook: it leaves the object at once. */
static bool is_hook(const struct decode_code *code, size_t at, const struct instruction *in)
{
	const uint8_t *next = in->bytes + in->length;

	switch (in->flow) {
	case FLOW_BREAKPOINT:
		return true;
	case FLOW_JUMP:
		return in->target < code->image_low || in->target >= code->image_high;
	case FLOW_AWAY: /* jmp *address(%rip), with the address among the code; a GOT is not */
		return in->size == 4 && in->target >= code->text_low && in->target < code->text_high;
	default: /* movabs $address, %register; jmp *%register */
		return in->length == 10 && code->available - at >= 13 && (in->bytes[1] & 0xf8) == 0xb8 &&
		       (!memcmp(next, "\xff", 1) || !memcmp(next, "\x41\xff", 2));
	}
}

/* Why an instruction cannot run elsewhere. */
static enum decode_refusal refuse_to_move(const struct instruction *in)
{
	if (in->is_privileged)
		return DECODE_PRIVILEGED;
	if (in->flow == FLOW_CALL)
		return DECODE_CALL;
	if (in->flow == FLOW_LOOP)
		return DECODE_LOOP;
	if (in->flow == FLOW_BREAKPOINT)
		return DECODE_HOOKED;
	return in->is_odd ? DECODE_UNKNOWN : DECODE_FINE;
}

/*
 * Whether the bytes from `at` to `end`, behind the function's last instruction, are unused: nops and int3 up to the
 * address where the next function may begin.
 */
static bool is_padded(const struct decode_code *code, size_t at, size_t end)
{
	uint64_t next = (code->address + code->size + FUNCTION_ALIGNMENT - 1) & ~(FUNCTION_ALIGNMENT - 1ull);
	struct instruction in;

	if (code->size == 0 || end > next - code->address)
		return false;
	for (; at < end; at += in.length)
		if (!instruction_read(code, at, &in) || !in.is_padding)
			return false;
	return true;
}

/* The result of one pass over a function. */
struct layout {
	uint8_t starts[STARTS_BYTES / 8]; /* a bit for each byte: an instruction begins there */
	uint64_t known;                   /* how many bytes these bits cover */
	uint64_t branch
	        [BRANCHES_MOST]; /* the offsets of its branches' targets; calls of itself are left out */
	size_t branches;
	uint64_t leaving[LEAVING_MOST]; /* the targets of branches and jumps to elsewhere */
	size_t leavings;
};

/* Of several branches to the same place, one counts. */
static void note_leaving(struct layout *layout, uint64_t target)
{
	for (size_t i = 0; i < layout->leavings && i < LEAVING_MOST; i++) {
		if (layout->leaving[i] == target)
			return;
	}
	if (layout->leavings < LEAVING_MOST)
		layout->leaving[layout->leavings] = target;
	layout->leavings++;
}

static void note_branch(struct layout *layout, const struct decode_code *code, const struct instruction *in)
{
	uint64_t offset = in->target - code->address;

	if ((in->flow == FLOW_BRANCH || in->flow == FLOW_JUMP) &&
	        offset >= (code->size != 0 ? code->size : code->available))
		note_leaving(layout, in->target);
	if (in->size == 0 || in->flow == FLOW_NEXT || (in->flow == FLOW_CALL && offset == 0) ||
	        offset >= STARTS_BYTES)
		return;
	if (layout->branches < BRANCHES_MOST)
		layout->branch[layout->branches] = offset;
	layout->branches++;
}

static enum decode_refusal lay_out(struct layout *layout, const struct decode_code *code, size_t at)
{
	struct walk walk = walk_begin(code, at);
	enum decode_refusal refusal = DECODE_FINE;
	struct instruction in;

	for (; walk_next(&walk, &in, &refusal); at = walk.at) {
		if (at < STARTS_BYTES)
			layout->starts[at / 8] |= 1u << at % 8;
		note_branch(layout, code, &in);
	}
	layout->known = at < STARTS_BYTES ? at : STARTS_BYTES;
	return refusal;
}

/*
 * Whether the function branches to one of its first `end` bytes; a call of itself does not count, and from elsewhere
 * nothing that leads to its entry. A branch into the middle of an instruction leads to code that nobody has checked.
 */
static enum decode_refusal find_branch_back(const struct decode_code *code, size_t at, size_t end)
{
	struct layout layout = {0};
	enum decode_refusal refusal = lay_out(&layout, code, at);

	if (refusal == DECODE_FINE && (layout.branches > BRANCHES_MOST || layout.leavings > LEAVING_MOST))
		refusal = DECODE_TOO_LONG;
	for (size_t i = 0; i < layout.leavings && refusal == DECODE_FINE; i++) {
		if (part_leads_back(code, layout.leaving[i], 1, end))
			refusal = DECODE_BRANCH_BACK;
	}
	for (size_t i = 0; i < layout.branches && refusal == DECODE_FINE; i++) {
		uint64_t offset = layout.branch[i];

		if (offset < end)
			refusal = DECODE_BRANCH_BACK;
		else if (offset < layout.known && (layout.starts[offset / 8] & 1u << offset % 8) == 0)
			refusal = DECODE_OVERLAP;
	}
	return refusal;
}

enum decode_refusal decode_prologue(const struct decode_code *code, struct decode_prologue *prologue)
{
	size_t limit = code->size != 0 ? code->size : code->available;
	size_t skip =
	        limit >= ENDBR_BYTES && memcmp(code->bytes, endbr64, ENDBR_BYTES) == 0 ? ENDBR_BYTES : 0;
	size_t end = skip + DECODE_JUMP_BYTES, at;
	struct instruction in;
	bool ends = false, is_torn = false;

	if (!instruction_can_read())
		return DECODE_NO_DECODER;
	for (at = skip; at < end && !ends; at += in.length) {
		enum decode_refusal refusal;

		if (at >= limit)
			return DECODE_TOO_SHORT;
		if (!instruction_read(code, at, &in))
			return DECODE_UNKNOWN;
		if (at + in.length > limit)
			return DECODE_TOO_SHORT;
		refusal = at == skip && is_hook(code, at, &in) ? DECODE_HOOKED : refuse_to_move(&in);
		if (refusal != DECODE_FINE)
			return refusal;
		ends = in.flow == FLOW_JUMP || in.flow == FLOW_AWAY;
		is_torn |= at == 0 && in.length < DECODE_JUMP_BYTES;
	}
	if (at < end && !is_padded(code, at, end))
		return DECODE_TOO_SHORT;
	*prologue = (struct decode_prologue){
	        .skip = (unsigned)skip, .moved = (unsigned)(at - skip), .ends = ends, .is_torn = is_torn};
	return find_branch_back(code, skip, at > end ? at : end);
}

/* Writes the distance from `from`, the end of an instruction, to `to`. False: four bytes cannot hold it. */
static bool put_distance(uint8_t *bytes, uint64_t from, uint64_t to)
{
	int64_t distance = (int64_t)(to - from);
	int32_t value = (int32_t)distance;

	memcpy(bytes, &value, sizeof value);
	return value == distance;
}

bool decode_put_jump(uint8_t *bytes, uint64_t from, uint64_t to)
{
	bytes[0] = 0xe9;
	return put_distance(bytes + 1, from + DECODE_JUMP_BYTES, to);
}

void decode_put_far_jump(uint8_t *bytes, uint64_t to)
{
	memcpy(bytes, "\xff\x25\0\0\0", DECODE_FAR_JUMP_BYTES - sizeof to);
	memcpy(bytes + DECODE_FAR_JUMP_BYTES - sizeof to, &to, sizeof to);
}

/* Writes one instruction as it must be at `address`. Returns its length, or 0 if the target is out of reach. */
static unsigned move_instruction(const struct instruction *in, uint64_t address, uint8_t *to)
{
	unsigned length = in->length, offset = in->offset;

	if (in->size == 1) {
		uint8_t opcode = in->bytes[in->offset - 1];

		offset = 0;
		if (in->flow == FLOW_BRANCH)
			to[offset++] = 0x0f;
		to[offset++] = in->flow == FLOW_BRANCH ? opcode + 0x10 : 0xe9; /* 7x: 0f 8x; eb: e9 */
		length = offset + 4;
	} else {
		memcpy(to, in->bytes, length);
	}
	if (in->size != 0 && !put_distance(to + offset, address + length, in->target))
		return 0;
	return length;
}

enum decode_refusal decode_move(const struct decode_code *code, const struct decode_prologue *prologue,
        uint64_t address, uint8_t *moved, size_t *moved_bytes)
{
	size_t end = prologue->skip + prologue->moved, used = prologue->skip;
	struct instruction in;

	memcpy(moved, endbr64, prologue->skip);
	for (size_t at = prologue->skip; at < end; at += in.length) {
		unsigned length;

		if (!instruction_can_read())
			return DECODE_NO_DECODER;
		if (!instruction_read(code, at, &in))
			return DECODE_UNKNOWN;
		length = move_instruction(&in, address + used, moved + used);
		if (length == 0)
			return DECODE_OUT_OF_RANGE;
		used += length;
	}
	if (!prologue->ends) {
		if (!decode_put_jump(moved + used, address + used, code->address + end))
			return DECODE_OUT_OF_RANGE;
		used += DECODE_JUMP_BYTES;
	}
	*moved_bytes = used;
	return DECODE_FINE;
}

/* A jump to where a table says stays in its function. gcc computes it by an addition, or marks it by a prefix. */
static bool is_by_table(const struct instruction *in, const struct instruction *before)
{
	const uint8_t *at = in->bytes;

	while (*at == 0xf2 || (*at & 0xf0) == 0x40)
		at++;
	if (*at == 0x3e)
		return true;
	if (at[1] >= 0xc0)
		return before->length == 3 && (before->bytes[1] & ~2) == 0x01; /* add %register, %register */
	return (at[1] & 7) == 4 && (at[2] & 0x38) != 0x20;                     /* has an index */
}

/* A search for calls that lead away. */
struct search {
	unsigned left; /* instructions that may still be read */
	unsigned depth;
};

static bool searches(const struct decode_code *code, struct search *search);

/* Whether an instruction calls, or jumps to for good, what the function's compiler cannot have seen. */
static bool is_away(const struct walk *walk, const struct instruction *in, const struct instruction *before,
        struct search *search)
{
	const struct decode_code *code = walk->code;
	struct decode_code part;
	bool is_found;

	if (in->is_indirect)
		return in->flow == FLOW_CALL || !is_by_table(in, before);
	if (in->flow != FLOW_CALL && (in->flow != FLOW_JUMP || in->target - code->address < walk->limit))
		return false;
	/* What is called at the very end does not return: compilers leave it out of account. */
	if (in->target == code->address || (in->flow == FLOW_CALL && walk->at == code->size))
		return false;
	if (search->depth == PARTS_DEPTH || !part_at(code, in->target, &part))
		return true;
	search->depth++;
	is_found = searches(&part, search);
	search->depth--;
	return is_found;
}

/* What cannot be read, or is more than is read, counts as found. */
static bool searches(const struct decode_code *code, struct search *search)
{
	struct walk walk = walk_begin(code, 0);
	enum decode_refusal refusal = DECODE_FINE;
	struct instruction in, before = {0};

	for (; walk_next(&walk, &in, &refusal); before = in) {
		if (search->left-- == 0 || is_away(&walk, &in, &before, search))
			return true;
	}
	return refusal != DECODE_FINE;
}

bool decode_leads_away(const struct decode_code *code)
{
	return searches(code, &(struct search){.left = PARTS_INSTRUCTIONS});
}

/* The only `sub %r32, disp(%rip)`, with or without lock. */
enum decode_refusal decode_operand(const struct decode_code *code, uint64_t *address)
{
	struct walk walk = walk_begin(code, 0);
	enum decode_refusal refusal = DECODE_FINE;
	struct instruction in;
	bool is_found = false;

	if (!instruction_can_read())
		return DECODE_NO_DECODER;
	while (walk_next(&walk, &in, &refusal)) {
		if (!in.is_rip_sub)
			continue;
		if (is_found)
			return DECODE_MANY_OPERANDS;
		is_found = true;
		*address = in.target;
	}
	if (refusal != DECODE_FINE)
		return refusal;
	return is_found ? DECODE_FINE : DECODE_NO_OPERAND;
}
