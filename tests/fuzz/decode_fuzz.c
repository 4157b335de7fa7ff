/* SPDX-License-Identifier: MIT */
/*
 * The decoder of function entries, given bytes: it refuses them, or what it moved does the same. Both are run
 * in a sandbox, an instruction at a time, the original in its own place and the moved one behind a patched
 * entry, from the same registers and memory; after each instruction all registers must agree, and in the end
 * the memory and the vector registers too.
 *
 *	byte 0	bits 0 to 3: the entry's alignment; 4: the function's size is known; 5, 6: where it moves to
 *	byte 1	bits 0 to 3: bytes behind the function; 4, 5: what registers hold; 6: the image is large; 7: the
 *		second call, not the first, is taken for that of QEMU's switch
 *	byte 2	processor flags
 *	…	code
 *
 * A function that reads the bytes that the patch overwrites, or how it is traced, or the time, is compared
 * up to there.
 *
 * The same bytes are also read as QEMU's functions are (adapter/qemu_code.h): where an ending is found, a jump has room.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "fuzz.h"
#include "adapter/qemu_code.h"
#include "patch/decode.h"
#include "sandbox.h"

enum {
	OPTIONS = 3,
	CODE_MOST = 256,
	ENTRY_AT = 1024, /* in the window */
	MOVED_AT = 64,
	ISLAND_AT = 48,
	STEPS = 48,
	MOVED_INSTRUCTIONS = 16,
	X87_POINTERS = 8, /* where the x87's last instruction and operand lie, among the vectors */
	X87_POINTERS_BYTES = 16,
	XSAVE_HEADER = 512, /* what was saved: that varies, where registers hold what they begin with */
	XSAVE_HEADER_BYTES = 64,
	TRACER_FLAGS = 0x10100, /* RF, TF */
};

/* One input, decoded. */
struct trial {
	struct decode_code code;
	struct decode_prologue prologue;
	uint8_t moved[DECODE_MOVED_BYTES];
	size_t moved_bytes;
	enum sandbox_window window;
	uint64_t moved_address;
	unsigned variant, flags;
};

/* How the original ran. */
struct trace {
	struct sandbox_state state[STEPS + 1];
	unsigned steps;
	uint8_t data[SANDBOX_DATA_BYTES];
};

static ZydisDecoder decoder;
static bool has_sandbox;
static struct {
	unsigned long long given, moved, instructions; /* the last: run twice and compared */
	unsigned long long endings, creates;           /* taken for QEMU's */
} count;

struct instruction {
	ZydisDecodedInstruction raw;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static bool read_instruction(const uint8_t *bytes, size_t left, struct instruction *in)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, left, &in->raw, in->operand));
}

/* Where a direct branch or call goes; false when it is none. */
static bool direct_target(const struct instruction *in, uint64_t address, uint64_t *target)
{
	for (unsigned i = 0; i < in->raw.operand_count; i++) {
		if (in->operand[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && in->operand[i].imm.is_relative) {
			*target = address + in->raw.length + (uint64_t)in->operand[i].imm.value.s;
			return true;
		}
	}
	return false;
}

/* What differs from run to run, shows the tracer, or leaves the sandbox. */
static bool is_out_of_bounds(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFQ:
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFQ:
	case ZYDIS_MNEMONIC_RDTSC:
	case ZYDIS_MNEMONIC_RDTSCP:
	case ZYDIS_MNEMONIC_RDRAND:
	case ZYDIS_MNEMONIC_RDSEED:
	case ZYDIS_MNEMONIC_RDPID:
	case ZYDIS_MNEMONIC_RDPMC:
	case ZYDIS_MNEMONIC_CPUID:
	case ZYDIS_MNEMONIC_XGETBV:
	case ZYDIS_MNEMONIC_SGDT:
	case ZYDIS_MNEMONIC_SIDT:
	case ZYDIS_MNEMONIC_SLDT:
	case ZYDIS_MNEMONIC_STR:
	case ZYDIS_MNEMONIC_SMSW:
	case ZYDIS_MNEMONIC_LSL:
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FNSAVE:
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVE64:
	case ZYDIS_MNEMONIC_XSAVEC:
	case ZYDIS_MNEMONIC_XSAVEC64:
	case ZYDIS_MNEMONIC_XSAVEOPT:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
	case ZYDIS_MNEMONIC_XBEGIN:
		return true;
	default:
		return false;
	}
}

static unsigned long long value_of(const struct user_regs_struct *regs, ZydisRegister reg)
{
	const unsigned long long values[] = {regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp,
	        regs->rsi, regs->rdi, regs->r8, regs->r9, regs->r10, regs->r11, regs->r12, regs->r13,
	        regs->r14, regs->r15};
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (whole == ZYDIS_REGISTER_RIP)
		return regs->rip;
	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return 0;
	return values[whole - ZYDIS_REGISTER_RAX];
}

/* Whether an instruction reads or writes memory that the patch changes. */
static bool sees_patch(
        const struct trial *trial, const struct instruction *in, const struct user_regs_struct *regs)
{
	uint64_t low = trial->code.address;
	uint64_t high = low + trial->prologue.skip + DECODE_JUMP_BYTES + trial->prologue.moved;

	for (unsigned i = 0; i < in->raw.operand_count; i++) {
		const ZydisDecodedOperand *operand = &in->operand[i];
		uint64_t at;

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		at = value_of(regs, operand->mem.base) +
		     value_of(regs, operand->mem.index) * operand->mem.scale +
		     (uint64_t)operand->mem.disp.value;
		if (operand->mem.base == ZYDIS_REGISTER_RIP)
			at += in->raw.length;
		if (in->raw.address_width == 32)
			at = (uint32_t)at;
		if (at + 512 > low && at < high + 512)
			return true;
	}
	return false;
}

/* Whether the next instruction of the original can be run and compared. */
static bool can_go_on(const struct trial *trial, const struct user_regs_struct *regs, struct instruction *in)
{
	size_t offset = regs->rip - trial->code.address;
	size_t limit = trial->code.size != 0 ? trial->code.size : trial->code.available;

	return offset < limit && read_instruction(trial->code.bytes + offset, limit - offset, in) &&
	       !is_out_of_bounds(in->raw.mnemonic) && !sees_patch(trial, in, regs);
}

static bool run_original(const struct trial *trial, struct trace *trace)
{
	struct instruction in;

	trace->steps = 0;
	sandbox_reset(&trace->state[0], trial->code.address, trial->variant, trial->flags);
	for (unsigned i = 0; i < STEPS && can_go_on(trial, &trace->state[i].regs, &in); i++) {
		uint64_t from = trace->state[i].regs.rip, target;
		bool is_direct;

		trace->state[i + 1].regs = trace->state[i].regs;
		if (sandbox_step(&trace->state[i + 1]) != 0)
			return false;
		trace->steps = i + 1;
		is_direct = direct_target(&in, from, &target);
		if (trace->state[i + 1].signal != 0 || in.raw.meta.category == ZYDIS_CATEGORY_CALL ||
		        (trace->state[i + 1].regs.rip != from + in.raw.length &&
		                trace->state[i + 1].regs.rip != from && !is_direct))
			break;
	}
	sandbox_read_vectors(&trace->state[trace->steps]);
	memcpy(trace->data, sandbox_bytes(SANDBOX_DATA), SANDBOX_DATA_BYTES);
	return true;
}

/* Where a moved instruction came from; other addresses are what they are. */
static uint64_t home_of(const struct trial *trial, uint64_t address)
{
	size_t at = trial->prologue.skip, offset = address - trial->moved_address;
	size_t from = trial->prologue.skip;
	struct instruction in, moved;

	if (offset >= trial->moved_bytes)
		return address;
	if (offset == 0)
		return trial->code.address;
	while (at < offset && from < trial->prologue.skip + trial->prologue.moved) {
		fuzz_must(read_instruction(trial->code.bytes + from, trial->code.available - from, &in) &&
		                  read_instruction(trial->moved + at, trial->moved_bytes - at, &moved),
		        "what was moved cannot be read");
		at += moved.raw.length;
		from += in.raw.length;
	}
	fuzz_must(at == offset, "the moved code goes on inside an instruction, at %zu", offset);
	return trial->code.address + from;
}

static void show(const struct trial *trial, const char *what, unsigned step)
{
	fprintf(stderr, "WRONG after %u instructions: %s\noriginal at %#llx:", step, what,
	        (unsigned long long)trial->code.address);
	for (size_t i = 0; i < trial->code.available; i++)
		fprintf(stderr, " %02x", trial->code.bytes[i]);
	fprintf(stderr, "\nmoved (%u, %u) to %#llx:", trial->prologue.skip, trial->prologue.moved,
	        (unsigned long long)trial->moved_address);
	for (size_t i = 0; i < trial->moved_bytes; i++)
		fprintf(stderr, " %02x", trial->moved[i]);
	fputc('\n', stderr);
	abort();
}

static void show_difference(const char *what, const uint8_t *a, const uint8_t *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (a[i] != b[i])
			fprintf(stderr, "byte %zu of the %s: %#x and %#x\n", i, what, a[i], b[i]);
	}
}

static void compare(const struct trial *trial, const struct sandbox_state *original,
        const struct sandbox_state *moved, unsigned step)
{
	struct user_regs_struct a = original->regs, b = moved->regs;
	bool is_address = original->signal == SIGSEGV || original->signal == SIGBUS;
	uint64_t first = (uint64_t)original->info.si_addr, second = (uint64_t)moved->info.si_addr;

	if (original->signal != moved->signal)
		show(trial, "one of them stops", step);
	if (original->signal != 0 && (original->info.si_code != moved->info.si_code ||
	                                     first != (is_address ? second : home_of(trial, second))))
		show(trial, "they stop for different reasons", step);
	b.rip = home_of(trial, b.rip);
	if (a.rip != b.rip)
		show(trial, "they are at different places", step);
	a.orig_rax = b.orig_rax = 0;
	a.eflags &= ~(unsigned long long)TRACER_FLAGS;
	b.eflags &= ~(unsigned long long)TRACER_FLAGS;
	if (memcmp(&a, &b, sizeof(a)) != 0) {
		show_difference("registers", (uint8_t *)&a, (uint8_t *)&b, sizeof(a));
		show(trial, "the registers differ", step);
	}
}

/* Takes out of the vector registers' state what two equal runs need not have in common. */
static void clean_vectors(struct sandbox_state *state)
{
	memset(state->vectors + X87_POINTERS, 0, X87_POINTERS_BYTES);
	memset(state->vectors + XSAVE_HEADER, 0, XSAVE_HEADER_BYTES);
}

static void compare_ends(const struct trial *trial, struct trace *trace, struct sandbox_state *moved)
{
	struct sandbox_state *end = &trace->state[trace->steps];
	const uint8_t *data = sandbox_bytes(SANDBOX_DATA);

	clean_vectors(end);
	clean_vectors(moved);
	if (memcmp(moved->vectors, end->vectors, end->vectors_bytes) != 0) {
		show_difference("vectors", end->vectors, moved->vectors, end->vectors_bytes);
		show(trial, "the vector registers differ", trace->steps);
	}
	if (memcmp(trace->data, data, SANDBOX_DATA_BYTES) != 0) {
		show_difference("memory", trace->data, data, SANDBOX_DATA_BYTES);
		show(trial, "the memory differs", trace->steps);
	}
}

/* Runs the moved code as far as the original went, and compares. */
static bool run_moved(const struct trial *trial, struct trace *trace)
{
	uint64_t back = trial->moved_address + trial->moved_bytes - DECODE_JUMP_BYTES;
	static struct sandbox_state state;

	sandbox_reset(&state, trial->moved_address, trial->variant, trial->flags);
	for (unsigned i = 1; i <= trace->steps; i++) {
		if (sandbox_step(&state) != 0)
			return false;
		if (state.regs.rip == back && state.signal == 0 && !trial->prologue.ends &&
		        sandbox_step(&state) != 0)
			return false;
		compare(trial, &trace->state[i], &state, i);
	}
	sandbox_read_vectors(&state);
	compare_ends(trial, trace, &state);
	return true;
}

/* What can be said without running it: nothing of a function of known size leads into the patched bytes. */
static void check_branches(const struct trial *trial)
{
	uint64_t low = trial->code.address, target;
	size_t end = trial->prologue.skip + DECODE_JUMP_BYTES;
	struct instruction in;

	if (trial->prologue.skip + trial->prologue.moved > end)
		end = trial->prologue.skip + trial->prologue.moved;
	for (size_t at = trial->prologue.skip; at < trial->code.size; at += in.raw.length) {
		if (!read_instruction(trial->code.bytes + at, trial->code.available - at, &in))
			show(trial, "it has bytes that are no instruction", 0);
		if (!direct_target(&in, low + at, &target) || target < low || target >= low + end)
			continue;
		if (in.raw.meta.category != ZYDIS_CATEGORY_CALL || target != low)
			show(trial, "it branches back", 0);
	}
}

static void run_both(const struct trial *trial)
{
	static struct trace trace;
	uint8_t *text = sandbox_bytes(SANDBOX_TEXT), *moved = sandbox_bytes(trial->window);
	uint8_t *entry = text + (trial->code.address - sandbox_address(SANDBOX_TEXT));

	memset(text, 0xcc, SANDBOX_CODE_BYTES);
	memset(moved, 0xcc, SANDBOX_CODE_BYTES);
	memcpy(entry, trial->code.bytes, trial->code.available);
	memcpy(moved + MOVED_AT, trial->moved, trial->moved_bytes);
	if (!run_original(trial, &trace))
		return;
	fuzz_must(decode_put_jump(entry + trial->prologue.skip, trial->code.address + trial->prologue.skip,
	                  sandbox_address(trial->window) + ISLAND_AT),
	        "the island is out of reach");
	if (run_moved(trial, &trace))
		count.instructions += trace.steps;
}

static bool make_trial(struct trial *trial, const uint8_t *options, const uint8_t *bytes, size_t available)
{
	uint64_t text = sandbox_address(SANDBOX_TEXT), address = text + ENTRY_AT + (options[0] & 15);
	bool is_large = (options[1] & 0x40) != 0;
	size_t behind = options[1] & 15;

	*trial = (struct trial){
	        .code = {.bytes = bytes, .address = address, .available = available, .text_low = text},
	        .window = SANDBOX_NEAR + (options[0] >> 5) % 3,
	        .variant = (options[1] >> 4) % 3,
	        .flags = options[2] | (options[2] & 2u) << 10,
	};
	trial->moved_address = sandbox_address(trial->window) + MOVED_AT;
	trial->code.text_high = text + SANDBOX_CODE_BYTES;
	trial->code.image_low = is_large ? text - (1 << 20) : text;
	trial->code.image_high = is_large ? text + (1 << 20) : text + SANDBOX_CODE_BYTES;
	if ((options[0] & 0x10) != 0)
		trial->code.size = available > behind ? available - behind : available;
	return decode_prologue(&trial->code, &trial->prologue) == DECODE_FINE;
}

/* Where the first call by distance leads, or that after so many others; 0: there is none. */
static uint64_t callee(const struct decode_code *code, unsigned others)
{
	struct instruction in;
	uint64_t target;

	for (size_t at = 0; read_instruction(code->bytes + at, code->available - at, &in);
	        at += in.raw.length) {
		if (in.raw.meta.category == ZYDIS_CATEGORY_CALL &&
		        direct_target(&in, code->address + at, &target) && others-- == 0)
			return target;
	}
	return 0;
}

/* An ending is an instruction of the function in which a jump has room, and leads back to one before it. */
static void check_qemu(const struct decode_code *code, unsigned others)
{
	size_t limit = code->size != 0 ? code->size : code->available, at = 0;
	struct qemu_ending ending;
	struct instruction in;

	count.creates += qemu_code_create(code) == NULL;
	if (qemu_code_ending(code, callee(code, others), &ending) != NULL)
		return;
	count.endings++;
	while (at < ending.at && read_instruction(code->bytes + at, code->available - at, &in))
		at += in.raw.length;
	fuzz_must(at == ending.at && read_instruction(code->bytes + at, code->available - at, &in) &&
	                  in.raw.length == ending.length,
	        "an ending is no instruction of the function, at %zu", ending.at);
	fuzz_must(ending.length >= DECODE_JUMP_BYTES && ending.at + ending.length <= limit,
	        "an ending at %zu has %u bytes, of %zu", ending.at, ending.length, limit);
	fuzz_must(ending.next - code->address < ending.at, "an ending leads out of the function");
	fuzz_must(ending.object == 3 || ending.object == 5 || (ending.object >= 12 && ending.object < 16),
	        "an ending's register is %u, which calls do not keep", ending.object);
}

static void tell_counts(void)
{
	fprintf(stderr, "decode: %llu inputs, of which %llu were moved; %llu instructions compared\n",
	        count.given, count.moved, count.instructions);
	fprintf(stderr, "decode: %llu endings, %llu creates\n", count.endings, count.creates);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_must(decode_open() == 0, "there is no libZydis");
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	atexit(tell_counts);
	has_sandbox = sandbox_open() == 0;
	if (!has_sandbox)
		fprintf(stderr, "nobody may be traced here: moved code is not run\n");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct trial trial;
	uint64_t operand;
	size_t code_bytes;
	uint8_t *code;

	if (bytes <= OPTIONS || bytes > OPTIONS + CODE_MOST)
		return 0;
	count.given++;
	code_bytes = bytes - OPTIONS;
	code = malloc(code_bytes);
	memcpy(code, data + OPTIONS, code_bytes);
	if (make_trial(&trial, data, code, code_bytes) &&
	        decode_move(&trial.code, &trial.prologue, trial.moved_address, trial.moved,
	                &trial.moved_bytes) == DECODE_FINE) {
		fuzz_must(trial.moved_bytes <= DECODE_MOVED_BYTES, "more was moved than there is room for");
		count.moved++;
		check_branches(&trial);
		if (has_sandbox && sandbox_open() == 0)
			run_both(&trial);
	}
	decode_operand(&trial.code, &operand);
	check_qemu(&trial.code, data[1] >> 7);
	free(code);
	return 0;
}
