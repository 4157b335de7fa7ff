/* SPDX-License-Identifier: MIT */
/*
 * On x86-64. Looks for patterns in the bytes of instructions, because the decoder's names for them differ between its versions.
 * It is strict on purpose: code that is not recognized is left to QEMU.
 */
#include "adapter/qemu_code.h"

#include "adapter/qemu_coroutine.h"
#include "patch/access.h"
#include "patch/instruction.h"

#include <string.h>

enum { RDX = 2, RSP = 4, REGISTERS = 16 }; /* the numbers of registers in instructions */

enum { LOOK_BACK_BYTES = 64 };

/* clang-format off */
const uint8_t qemu_code_arm[] = {
	0x48, 0x8d, 0x48, WAKEUP_FIRST,				/* lea 0x40(%rax), %rcx */
	0x48, 0x89, 0x38,					/* mov %rdi, (%rax) */
	0x48, 0x89, 0x70, ARGUMENT,				/* mov %rsi, 8(%rax) */
	0x48, 0xc7, 0x40, WAKEUP_FIRST, 0, 0, 0, 0,		/* movq $0, 0x40(%rax) */
	0x48, 0x89, 0x48, WAKEUP_LAST,				/* mov %rcx, 0x48(%rax) */
};
/* clang-format on */
const size_t qemu_code_arm_bytes = sizeof qemu_code_arm;

/* movq $0, displacement(%base) */
static bool is_clear(const struct access *access, int32_t displacement)
{
	return access->opcode == 0xc7 && (access->reg & 7) == 0 && access->bytes == 8 &&
	       access->displacement == displacement && access->immediate_bytes == 4 &&
	       memcmp(access->immediate, "\0\0\0\0", 4) == 0;
}

/* cmpq $0, displacement(%base) */
static bool is_compare_with_0(const struct access *access, int32_t displacement)
{
	return access->opcode == 0x83 && (access->reg & 7) == 7 && access->bytes == 8 &&
	       access->displacement == displacement && access->immediate_bytes == 1 &&
	       access->immediate[0] == 0;
}

static bool is_bytes(const struct instruction *in, const void *bytes, unsigned count)
{
	return in->length >= count && memcmp(in->bytes, bytes, count) == 0;
}

/* cmp $value, %eax */
static bool is_compare_eax(const struct instruction *in, uint8_t value)
{
	return is_bytes(in, (uint8_t[]){0x83, 0xf8, value}, 3);
}

/* je, or jne where `condition` is 5 */
static bool is_branch(const struct instruction *in, uint8_t condition)
{
	return in->flow == FLOW_BRANCH &&
	       (in->bytes[0] == (0x70 | condition) || is_bytes(in, (uint8_t[]){0x0f, 0x80 | condition}, 2));
}

/* Calls keep these registers: %rbx, %rbp, %r12 to %r15. */
static bool is_kept(unsigned number)
{
	return number == 3 || number == 5 || number >= 12;
}

/*
 * Whether the instruction is one of those between a switch and the coroutine's end: moves between general registers
 * and memory, comparisons, branches. None may leave something in a vector register, which our code would destroy.
 */
static bool is_plain(const struct instruction *in)
{
	const uint8_t *at = in->bytes;

	if (in->flow == FLOW_BRANCH)
		return true;
	if (in->flow != FLOW_NEXT)
		return false; /* an int3 is a breakpoint */
	if (in->is_padding)
		return true;
	if (*at == 0x66 || (*at == 0x64 && in->length > 4))
		at++;
	if ((*at & 0xf0) == 0x40)
		at++;
	switch (*at) {
	case 0x31: /* xor */
	case 0x33:
	case 0x38 ... 0x3d: /* cmp */
	case 0x80 ... 0x81: /* cmp with a number, among others */
	case 0x83 ... 0x85: /* test */
	case 0x88 ... 0x8b: /* mov */
	case 0x8d:          /* lea */
	case 0xb8 ... 0xbf: /* mov of a number */
	case 0xc6 ... 0xc7:
	case 0xf6 ... 0xf7: /* test with a number */
		return true;
	default:
		return false;
	}
}

/* How much of the pattern was found. */
enum stage { START, SWITCHED, IS_YIELD, AFTER_YIELD, IS_TERMINATE, TERMINATED, UNLOCKED, ENDED };

enum { BRANCHES_MOST = 512 };

struct search {
	enum stage stage;
	unsigned calls, endings;
	uint64_t call; /* the last call's address */
	struct qemu_ending *ending;
	uint64_t branch[BRANCHES_MOST]; /* offsets in the function of its branches' targets */
	unsigned branches;
};

static void note_branch(struct search *search, const struct instruction *in, const struct decode_code *code)
{
	if (in->size == 0 || in->flow == FLOW_NEXT || in->flow == FLOW_CALL)
		return;
	if (search->branches < BRANCHES_MOST)
		search->branch[search->branches] = in->target - code->address;
	search->branches++;
}

/* Whether the function branches into the middle of the instruction that becomes a jump, or has too many branches. */
static bool has_branch_into(const struct search *search)
{
	const struct qemu_ending *ending = search->ending;

	for (unsigned i = 0; i < search->branches && i < BRANCHES_MOST; i++) {
		if (search->branch[i] > ending->at && search->branch[i] < ending->at + ending->length)
			return true;
	}
	return search->branches > BRANCHES_MOST;
}

/* Processes the next instruction. False: it does not match. */
static bool advance(struct search *search, const struct instruction *in, const struct decode_code *code)
{
	struct access access;
	bool is_access = access_read(in, &access);

	switch (search->stage) {
	case SWITCHED:
		if (is_compare_eax(in, YIELD))
			search->stage = IS_YIELD;
		return is_plain(in);
	case IS_YIELD:
		search->ending->next = in->target;
		search->stage = AFTER_YIELD;
		return is_branch(in, 4) && in->target >= code->address && in->target < search->call;
	case AFTER_YIELD:
		search->stage = IS_TERMINATE;
		return is_compare_eax(in, TERMINATE);
	case IS_TERMINATE:
		search->stage = TERMINATED;
		return is_branch(in, 5);
	case TERMINATED:
		if (!is_access || !is_compare_with_0(&access, LOCKS_HELD) || !is_kept(access.base))
			return false;
		search->stage = UNLOCKED;
		search->ending->object = access.base;
		return true;
	case UNLOCKED:
		return is_plain(in);
	default:
		return true;
	}
}

/* Whether coroutine_delete begins with the instruction. */
static bool is_end(const struct search *search, const struct instruction *in)
{
	struct access access;

	return search->stage == UNLOCKED && in->length >= DECODE_JUMP_BYTES && access_read(in, &access) &&
	       is_clear(&access, CALLER) && access.base == search->ending->object;
}

/* Whether the loop continues by reading the next coroutine into %co and testing it for NULL. */
static bool is_loop(const struct decode_code *code, const struct qemu_ending *ending)
{
	const uint8_t high = ending->object >> 3, low = ending->object & 7;
	const uint8_t load = 0x48 | high << 2,
	              test[] = {0x48 | high << 2 | high, 0x85, 0xc0 | low << 3 | low};
	size_t at = ending->next - code->address;
	struct instruction in;

	/* mov memory, %co */
	if (!instruction_read(code, at, &in) || in.length < 3 || (in.bytes[0] & ~1) != load ||
	        in.bytes[1] != 0x8b || in.bytes[2] >= 0xc0 || (in.bytes[2] >> 3 & 7) != low)
		return false;
	/* test %co, %co */
	return instruction_read(code, at + in.length, &in) && is_bytes(&in, test, sizeof test);
}

const char *qemu_code_ending(const struct decode_code *enter, uint64_t switch_at, struct qemu_ending *ending)
{
	struct search search = {.ending = ending};
	struct walk walk = walk_begin(enter, 0);
	enum decode_refusal refusal = DECODE_FINE;
	struct instruction in;

	*ending = (struct qemu_ending){0};
	for (size_t at = 0; walk_next(&walk, &in, &refusal); at = walk.at) {
		note_branch(&search, &in, enter);
		if (in.flow == FLOW_CALL && in.size == 4 && in.target == switch_at) {
			search.calls++;
			search.call = enter->address + at;
			search.stage = SWITCHED;
		} else if (is_end(&search, &in)) {
			search.endings++;
			ending->at = at;
			ending->length = in.length;
			search.stage = ENDED;
		} else if (!advance(&search, &in, enter)) {
			return QEMU_CODE_UNKNOWN;
		}
	}
	if (refusal != DECODE_FINE)
		return decode_refusal_text(refusal);
	if (search.calls != 1 || search.endings != 1 || !is_loop(enter, ending))
		return QEMU_CODE_UNKNOWN;
	return has_branch_into(&search) ? decode_refusal_text(DECODE_OVERLAP) : NULL;
}

/* Whether an instruction modifies memory: add, or, inc, xchg and others. */
static bool is_change(const struct access *access)
{
	switch (access->opcode) {
	case 0x00 ... 0x37: /* arithmetic of two operands that writes to memory */
		return (access->opcode & 6) == 0;
	case 0x80 ... 0x83: /* with a number; 7 is cmp */
		return (access->reg & 7) != 7;
	case 0x86 ... 0x87: /* xchg */
	case 0xc0 ... 0xc1: /* shifts */
	case 0xd0 ... 0xd3:
	case 0x0f90 ... 0x0f9f: /* setcc */
	case 0x0fc3:            /* movnti */
		return true;
	case 0xf6 ... 0xf7: /* not, neg */
		return (access->reg & 7) == 2 || (access->reg & 7) == 3;
	case 0xfe ... 0xff: /* inc, dec */
		return (access->reg & 7) < 2;
	default:
		return false;
	}
}

static bool is_store(struct access *access)
{
	if (is_change(access)) {
		access->bytes = 1; /* sets no whole word */
		return true;
	}
	switch (access->opcode) {
	case 0x89: /* mov */
	case 0xc7:
	case 0x0f11: /* movups */
	case 0x0f29: /* movaps */
	case 0x0f7f: /* movdqu, movdqa */
		return true;
	case 0x88: /* mov of a byte */
	case 0xc6:
		access->bytes = 1;
		return true;
	case 0x0f13: /* movlps, movhps, movq: half of a vector register */
	case 0x0f17:
	case 0x0fd6:
		access->bytes = 8;
		return true;
	default:
		return false;
	}
}

/* Whether a register holds a coroutine that is armed, after these words of its object were set. */
static bool is_armed(const unsigned set[REGISTERS])
{
	for (unsigned i = 0; i < REGISTERS; i++) {
		if (qemu_is_armed(set[i]))
			return true;
	}
	return false;
}

const char *qemu_code_create(const struct decode_code *create)
{
	struct walk walk = walk_begin(create, 0);
	enum decode_refusal refusal = DECODE_FINE;
	unsigned set[REGISTERS] = {0};
	struct instruction in;
	unsigned armed = 0;

	while (walk_next(&walk, &in, &refusal)) {
		struct access access;

		if (access_read(&in, &access) && access.base != RSP && is_store(&access))
			set[access.base] |= qemu_words(access.displacement, access.bytes);
		if (in.flow == FLOW_NEXT || in.flow == FLOW_BRANCH)
			continue;
		/* From here on a register may hold another object. */
		armed += is_armed(set);
		memset(set, 0, sizeof set);
	}
	if (refusal != DECODE_FINE)
		return decode_refusal_text(refusal);
	return armed > 0 ? NULL : "it does not set what is known";
}

/* The number that the code before the call has last moved to %edx. */
unsigned qemu_code_action(uintptr_t low, uintptr_t place)
{
	uintptr_t call = place - 1;
	uintptr_t from = call - low > LOOK_BACK_BYTES ? call - LOOK_BACK_BYTES : low;
	unsigned action = 0, number[REGISTERS] = {0};

	for (uintptr_t at = from; at + 2 <= call; at++) {
		const uint8_t *bytes = (const uint8_t *)at;
		uint8_t rex = at > from ? bytes[-1] : 0;

		if (at + 5 <= call && (bytes[0] & 0xf8) == 0xb8 && memcmp(bytes + 2, "\0\0\0", 3) == 0) {
			/* mov $1, %register */
			unsigned to = (bytes[0] & 7) | (rex == 0x41 ? 8 : 0);

			number[to] = bytes[1];
			if (to == RDX)
				action = bytes[1];
		} else if (at + 3 <= call && bytes[0] == 0x6a && bytes[2] == 0x5a) { /* push $1; pop %rdx */
			action = bytes[1];
		} else if (bytes[0] == 0x89 && (bytes[1] & 0xc7) == 0xc2 && (rex & 0xf1) != 0x41) {
			/* mov %register, %edx; with the excluded prefixes, to %r10d */
			action = number[(bytes[1] >> 3 & 7) | (rex == 0x44 ? 8 : 0)];
		}
	}
	return action;
}
