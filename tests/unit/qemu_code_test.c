/* SPDX-License-Identifier: MIT */
/*
 * Code in the form that qemu_code.h describes is recognized, and code that differs in one thing is not. It is never
 * run, only read: from copies that end with the function, so that reading further is noticed.
 */
#include "adapter/qemu_code.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

enum { NONE = -1, AX = 0, BX = 3, BP = 5, R12 = 12, R13 = 13, R14 = 14, R15 = 15 };

/*
 * The loop in which coroutines are entered and end. Named arguments replace parts of it.
 *
 * co		the register that holds the coroutine
 * wide		"{disp32}": branches have their long form
 * traced	not empty: tracing is behind the function, and leads back to where the coroutine ends
 */
asm(".macro enter name, co=rbx, wide=, traced=, head=, test=, switch=\"call qemu_switch\", early=, yield=1,"
    "	yes=\"je 1b\", terminate=2, no=\"jne 9f\", locks=, between=, clear=, tail=\n"
    "	.balign 16, 0x90\n"
    "enter_\\name:\n"
    "	push %\\co\n"
    "	sub $0x40, %rsp\n"
    "	mov %rsi, %\\co\n"
    "	call qemu_helper\n"
    "	jmp 2f\n"
    "enter_\\name\\()_next:\n"
    "1:\n"
    "	.ifb \\head\n	mov 0x18(%rsp), %\\co\n	.else\n	\\head\n	.endif\n"
    "	.ifb \\test\n	test %\\co, %\\co\n	.else\n	\\test\n	.endif\n"
    "	je 8f\n"
    "2:	mov %rdi, 0x8(%rsp)\n"
    "	mov $3, %edx\n"
    "	mov %\\co, %rsi\n"
    "	\\switch\n"
    "	lea 0x40(%\\co), %rcx\n"
    "	cmpq $0, 0x40(%\\co)\n"
    "	je 3f\n"
    "	mov 0x48(%\\co), %rdx\n"
    "	mov %rdx, 0x20(%rsp)\n"
    "	movq $0, 0x40(%\\co)\n"
    "	mov %rcx, 0x48(%\\co)\n"
    "3:	\\early\n"
    "	cmp $\\yield, %eax\n"
    "	\\wide \\yes\n"
    "	cmp $\\terminate, %eax\n"
    "	\\wide \\no\n"
    "	.ifb \\locks\n	cmpq $0, 0x20(%\\co)\n	.else\n	\\locks\n	.endif\n"
    "	\\wide jne 7f\n"
    "	\\between\n"
    "	.ifnb \\traced\n	cmpl $0, qemu_traced(%rip)\n	\\wide jne 6f\n	.endif\n"
    "enter_\\name\\()_at:\n"
    "5:\n"
    "	.ifb \\clear\n	movq $0, 0x10(%\\co)\n	.else\n	\\clear\n	.endif\n"
    "enter_\\name\\()_behind:\n"
    "	mov %\\co, %rdi\n"
    "	call qemu_helper\n"
    "	jmp 1b\n"
    "	.ifnb \\traced\n6:	mov %\\co, %rdi\n	call qemu_helper\n	jmp 5b\n	.endif\n"
    "7:	call qemu_helper\n"
    "8:	add $0x40, %rsp\n"
    "	pop %\\co\n"
    "	ret\n"
    "9:	call qemu_helper\n"
    "	\\tail\n"
    "enter_\\name\\()_end:\n"
    ".endm\n"
    ".macro create name, code\n"
    "	.balign 16, 0x90\n"
    "create_\\name:\n"
    "	push %rbx\n"
    "	call qemu_helper\n"
    "	\\code\n"
    "	pop %rbx\n"
    "	ret\n"
    "create_\\name\\()_end:\n"
    ".endm\n");

/* name, what differs, the coroutine's register or NONE, a promise */
#define ENDINGS(X)                                                                                           \
	X(rbx, "co=rbx", BX, "the shape with the coroutine in %rbx")                                         \
	X(rbp, "co=rbp", BP, "the shape with the coroutine in %rbp")                                         \
	X(r12, "co=r12", R12, "the shape with the coroutine in %r12")                                        \
	X(r13, "co=r13", R13, "the shape with the coroutine in %r13")                                        \
	X(r14, "co=r14", R14, "the shape with the coroutine in %r14")                                        \
	X(r15, "co=r15", R15, "the shape with the coroutine in %r15")                                        \
	X(wide, "wide={disp32}", BX, "the shape with long branches")                                         \
	X(traced, "traced=1", BX, "the shape with tracing")                                                  \
	X(wide_traced, "co=r12, traced=1, wide={disp32}", R12, "the shape with tracing and long branches")   \
	X(far_field, "clear=\"{disp32} movq $0, 0x10(%rbx)\"", BX, "an ending of eleven bytes")              \
	X(padded, "between=\"nopw 0(%rax,%rax)\"", BX, "a nop before the ending")                            \
	X(early_load, "between=\"mov %fs:0x28, %rdx\"", BX, "a plain load before the ending")                \
	X(in_rax, "co=rax", NONE, "the coroutine in %rax, which calls do not keep")                          \
	X(in_rcx, "co=rcx", NONE, "the coroutine in %rcx, which calls do not keep")                          \
	X(in_rdx, "co=rdx", NONE, "the coroutine in %rdx, which calls do not keep")                          \
	X(in_rsi, "co=rsi", NONE, "the coroutine in %rsi, which calls do not keep")                          \
	X(in_rdi, "co=rdi", NONE, "the coroutine in %rdi, which calls do not keep")                          \
	X(in_r8, "co=r8", NONE, "the coroutine in %r8, which calls do not keep")                             \
	X(in_r11, "co=r11", NONE, "the coroutine in %r11, which calls do not keep")                          \
	X(in_rsp, "co=rsp", NONE, "the coroutine in the stack pointer")                                      \
	X(other_register, "clear=\"movq $0, 0x10(%rbp)\"", NONE, "an ending of what is in another register") \
	X(extended_register, "clear=\"movq $0, 0x10(%r11)\"", NONE, "an ending of what is in %r11")          \
	X(indexed, "clear=\"movq $0, 0x10(%rbx,%rcx)\"", NONE, "an ending at an index")                      \
	X(segment, "clear=\"movq $0, %fs:0x10(%rbx)\"", NONE, "an ending in another segment")                \
	X(offset, "clear=\"movq $0, 0x18(%rbx)\"", NONE, "an ending that sets another word")                 \
	X(value, "clear=\"movq $1, 0x10(%rbx)\"", NONE, "an ending that sets another value")                 \
	X(by_register, "clear=\"mov %rax, 0x10(%rbx)\"", NONE, "an ending that stores a register")           \
	X(narrow, "clear=\"movl $0, 0x10(%rbx)\"", NONE, "an ending that sets half of the word")             \
	X(masked, "clear=\"andq $0, 0x10(%rbx)\"", NONE, "an ending by another instruction")                 \
	X(no_locks, "locks=nop", NONE, "no assertion on locks")                                              \
	X(locks_offset, "locks=\"cmpq $0, 0x28(%rbx)\"", NONE, "an assertion on another word")               \
	X(locks_value, "locks=\"cmpq $1, 0x20(%rbx)\"", NONE, "an assertion on another value")               \
	X(locks_narrow, "locks=\"cmpl $0, 0x20(%rbx)\"", NONE, "an assertion on half of the word")           \
	X(locks_register, "locks=\"cmpq $0, 0x20(%rbp)\"", NONE, "an assertion on another register's word")  \
	X(terminate_3, "terminate=3", NONE, "another number for TERMINATE")                                  \
	X(yield_3, "yield=3", NONE, "another number for YIELD")                                              \
	X(twice, "early=\"call qemu_switch\"", NONE, "two calls of switch")                                  \
	X(again, "tail=\"call qemu_switch\"", NONE, "another call of switch further on")                     \
	X(no_call, "switch=\"call qemu_helper\"", NONE, "no call of switch")                                 \
	X(by_memory, "switch=\"call *0x8(%rax)\"", NONE, "a call by way of memory")                          \
	X(forward, "yes=\"je 8f\"", NONE, "a yield that leads forward")                                      \
	X(forward_loop, "yes=\"je 4f\", tail=\"4: mov 0x18(%rsp), %rbx; test %rbx, %rbx; je 8b; jmp 2b\"",   \
	        NONE, "a yield that leads forward to what looks like the loop")                              \
	X(yes_jne, "yes=\"jne 1b\"", NONE, "a yield that leads back where it is none")                       \
	X(yes_jmp, "yes=\"jmp 1b\"", NONE, "a jump where the yield's branch should be")                      \
	X(no_je, "no=\"je 9f\"", NONE, "an abort where it is a termination")                                 \
	X(vector, "between=\"movups %xmm0, 0x30(%rsp)\"", NONE, "a vector store before the ending")          \
	X(vector_load, "between=\"movdqu (%rcx), %xmm1\"", NONE, "a vector load before the ending")          \
	X(vector_move, "early=\"movq %rdx, %xmm0\"", NONE, "a vector move behind the switch")                \
	X(vex, "between=\"vmovdqu (%rcx), %ymm1\"", NONE, "a VEX load before the ending")                    \
	X(scalar_float, "between=\"cvtsi2sd %rax, %xmm3\"", NONE, "a float before the ending")               \
	X(x87, "between=\"fldz\"", NONE, "an x87 instruction before the ending")                             \
	X(call_between, "between=\"call qemu_helper\"", NONE, "a call before the ending")                    \
	X(call_early, "early=\"call qemu_helper\"", NONE, "a call before the comparisons")                   \
	X(jump_between, "between=\"jmp 5f\"", NONE, "a jump before the ending")                              \
	X(string_between, "between=\"rep stosb\"", NONE, "a string instruction before the ending")           \
	X(stack_between, "between=\"push %rax\"", NONE, "a push before the ending")                          \
	X(into_middle, "tail=\"jmp 5b + 3\"", NONE, "a jump into the middle of the ending")                  \
	X(into_end, "tail=\"{disp32} je 5b + 7\"", NONE, "a branch to the last byte of the ending")          \
	X(loop_register, "head=\"mov %rbp, %rbx\"", NONE, "a loop that goes on with a register")             \
	X(loop_narrow, "head=\"mov 0x18(%rsp), %ebx\"", NONE, "a loop that goes on with half a word")        \
	X(loop_lea, "head=\"lea 0x18(%rsp), %rbx\"", NONE, "a loop that goes on with an address")            \
	X(loop_untested, "test=nop", NONE, "a loop that does not look whether there is another")             \
	X(unknown, "tail=\".byte 0x06\"", NONE, "bytes that are no instruction")                             \
	X(cut, "tail=\".byte 0xe8, 0, 0\"", NONE, "an instruction that is cut off")                          \
	X(breakpoint, "clear=\".byte 0xcc, 0xc7, 0x43, 0x10, 0, 0, 0, 0\"", NONE,                            \
	        "a breakpoint on the ending")

/* name, its instructions, whether they are recognized, a promise */
#define ENTRY    "mov %rdi, (%rax); "
#define ARGUMENT "mov %rsi, 8(%rax); "
#define FIRST    "movq $0, 0x40(%rax); "
#define LAST     "lea 0x40(%rax), %rcx; mov %rcx, 0x48(%rax); "
#define TWO      "movq %rdi, %xmm0; movq %rsi, %xmm1; punpcklqdq %xmm1, %xmm0; "
#define CREATES(X)                                                                                           \
	X(plain, ENTRY ARGUMENT FIRST LAST, true, "four stores")                                             \
	X(order, LAST FIRST ARGUMENT ENTRY, true, "four stores in another order")                            \
	X(wide, "{disp32} mov %rdi, (%rax); " ARGUMENT FIRST LAST, true, "a store with a long offset")       \
	X(rbx, "mov %rdi, (%rbx); mov %rsi, 8(%rbx); movq $0, 0x40(%rbx); mov %rcx, 0x48(%rbx)", true,       \
	        "stores by way of %rbx")                                                                     \
	X(rbp, "mov %rdi, (%rbp); mov %rsi, 8(%rbp); movq $0, 0x40(%rbp); mov %rcx, 0x48(%rbp)", true,       \
	        "stores by way of %rbp")                                                                     \
	X(r12, "mov %rdi, (%r12); mov %rsi, 8(%r12); movq $0, 0x40(%r12); mov %r9, 0x48(%r12)", true,        \
	        "stores by way of %r12")                                                                     \
	X(r13, "mov %rdi, (%r13); mov %rsi, 8(%r13); movq $0, 0x40(%r13); mov %r9, 0x48(%r13)", true,        \
	        "stores by way of %r13")                                                                     \
	X(movups, TWO "movups %xmm0, (%rax); " FIRST LAST, true, "a store of two words by movups")           \
	X(movaps, TWO "movaps %xmm0, (%rax); " FIRST LAST, true, "a store of two words by movaps")           \
	X(movdqu, TWO "movdqu %xmm0, (%rax); " FIRST LAST, true, "a store of two words by movdqu")           \
	X(movups_r8, TWO "movups %xmm9, (%r8); movups %xmm1, 0x40(%r8)", true, "two of them to %r8")         \
	X(vmovups, "vmovups %xmm0, (%rax); vmovups %xmm1, 0x40(%rax)", true, "two of them by vmovups")       \
	X(vmovups_r9, "vmovups %xmm0, (%r9); vmovdqu %xmm12, 0x40(%r9)", true, "vmovups and vmovdqu to %r9") \
	X(halves, "movq %xmm0, (%rax); movhps %xmm0, 8(%rax); " FIRST LAST, true, "movq and movhps")         \
	X(low_half, "movlps %xmm0, (%rax); movhpd %xmm0, 8(%rax); " FIRST LAST, true, "movlps and movhpd")   \
	X(vex_halves, "vmovq %xmm0, (%rax); vmovhps %xmm0, 8(%rax); " FIRST LAST, true, "the same by VEX")   \
	X(pooled, ENTRY ARGUMENT FIRST LAST "movq $0, 0x18(%rax)", true, "the link of QEMU's own pool")      \
	X(others, ENTRY ARGUMENT FIRST LAST "mov %rsi, 0x60(%rdx); movq $0, 0x30(%rsp)", true,               \
	        "stores to the stack and to something else")                                                 \
	X(loads, ENTRY ARGUMENT FIRST LAST "mov 0x30(%rax), %rdx; cmpq $0, 0x60(%rax)", true,                \
	        "loads from other words")                                                                    \
	X(no_entry, ARGUMENT FIRST LAST, false, "no store of the entry")                                     \
	X(no_argument, ENTRY FIRST LAST, false, "no store of the argument")                                  \
	X(no_first, ENTRY ARGUMENT LAST, false, "no store of the queue's first")                             \
	X(no_last, ENTRY ARGUMENT FIRST, false, "no store of the queue's last")                              \
	X(nothing, "nop", false, "no store at all")                                                          \
	X(split, ENTRY ARGUMENT "movq $0, 0x40(%rdx); mov %rcx, 0x48(%rdx)", false, "stores to two objects") \
	X(vex_split, "vmovups %xmm0, (%r9); vmovups %xmm1, 0x40(%rcx)", false, "the same by vmovups")        \
	X(more, ENTRY ARGUMENT FIRST LAST "mov %rdi, 0x50(%rax)", false, "a store to another word")          \
	X(caller, ENTRY ARGUMENT FIRST LAST "movq $0, 0x10(%rax)", false, "a store to the caller's word")    \
	X(negative, ENTRY ARGUMENT FIRST LAST "movq $0, -8(%rax)", false, "a store before the coroutine")    \
	X(between, ENTRY ARGUMENT FIRST LAST "movl $0, 0x44(%rax)", false, "a store between two words")      \
	X(more_16, ENTRY ARGUMENT FIRST LAST "movups %xmm0, 0x48(%rax)", false, "a store of two, one other") \
	X(more_32, FIRST LAST "vmovups %ymm0, (%rax)", false, "a store of four words, two of them others")   \
	X(byte, ENTRY ARGUMENT FIRST LAST "movb $1, 0x38(%rax)", false, "a store of a byte")                 \
	X(byte_register, ENTRY ARGUMENT FIRST LAST "mov %cl, 0x38(%rax)", false, "a store of %cl")           \
	X(byte_of_word, ENTRY ARGUMENT "movb $0, 0x40(%rax); " LAST, false, "a store of the first's byte")   \
	X(narrow, "mov %edi, (%rax); " ARGUMENT FIRST LAST, false, "a store of half of the entry")           \
	X(word, ENTRY ARGUMENT "movw $0, 0x40(%rax); " LAST, false, "a store of a quarter of the first")     \
	X(movss, "movss %xmm0, (%rax); " FIRST LAST, false, "a store of half a word by movss")               \
	X(unknown, ENTRY ARGUMENT FIRST LAST ".byte 0x06", false, "bytes that are no instruction")

#define ENDING_CODE(name, arguments, ...) "enter " #name ", " arguments "\n"
#define CREATE_CODE(name, code, ...)      "create " #name ", \"" code "\"\n"

asm(".pushsection .rodata\n .balign 16\n"
    "qemu_switch: ret\n qemu_helper: ret\n qemu_traced: .long 0\n" ENDINGS(ENDING_CODE)
                CREATES(CREATE_CODE) ".popsection\n");

extern const uint8_t qemu_switch[];

#define ENDING_DECLARE(name, ...)                                                                            \
	extern const uint8_t enter_##name[], enter_##name##_next[], enter_##name##_at[],                     \
	        enter_##name##_behind[], enter_##name##_end[];
#define CREATE_DECLARE(name, ...) extern const uint8_t create_##name[], create_##name##_end[];
ENDINGS(ENDING_DECLARE)
CREATES(CREATE_DECLARE)

static const struct ending {
	const char *promise;
	const uint8_t *low, *next, *at, *behind, *high;
	int object;
} endings[] = {
#define ENDING_ROW(name, arguments, object, promise)                                                         \
	{promise, enter_##name, enter_##name##_next, enter_##name##_at, enter_##name##_behind,               \
	        enter_##name##_end, object},
        ENDINGS(ENDING_ROW)};

static const struct create {
	const char *promise;
	const uint8_t *low, *high;
	bool is_known;
} creates[] = {
#define CREATE_ROW(name, code, is_known, promise) {promise, create_##name, create_##name##_end, is_known},
        CREATES(CREATE_ROW)};

/* A copy of code; no byte behind it can be read. The caller frees its bytes. */
static struct decode_code code_of(const uint8_t *low, const uint8_t *high, bool has_size)
{
	size_t bytes = high - low;
	uint8_t *copy = malloc(bytes);

	if (copy == NULL)
		abort();
	memcpy(copy, low, bytes);
	return (struct decode_code){.bytes = copy,
	        .address = (uintptr_t)low,
	        .size = has_size ? bytes : 0,
	        .available = bytes,
	        .text_low = (uintptr_t)low,
	        .text_high = (uintptr_t)high};
}

static const char *judge_ending(const struct ending *shape, bool has_size, struct qemu_ending *found)
{
	struct decode_code code = code_of(shape->low, shape->high, has_size);
	const char *reason = qemu_code_ending(&code, (uintptr_t)qemu_switch, found);

	free((void *)code.bytes);
	return reason;
}

static bool is_right(const struct ending *shape, const struct qemu_ending *found)
{
	return found->at == (size_t)(shape->at - shape->low) &&
	       found->length == (size_t)(shape->behind - shape->at) &&
	       found->object == (unsigned)shape->object && found->next == (uintptr_t)shape->next;
}

static void test_endings(void)
{
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		const struct ending *shape = &endings[i];
		struct qemu_ending found;
		const char *reason = judge_ending(shape, true, &found);

		if (shape->object == NONE)
			tap_ok(reason != NULL, "ending: %s is not known", shape->promise);
		else if (!tap_ok(reason == NULL && is_right(shape, &found), "ending: %s is known",
		                 shape->promise))
			printf("# %s\n", reason != NULL ? reason : "another place");
	}
}

/* If a table does not say how long the function is. */
static void test_endings_of_unknown_size(void)
{
	unsigned wrong = 0, known = 0;

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		struct qemu_ending found;
		const char *reason = judge_ending(&endings[i], false, &found);

		if (reason != NULL)
			continue;
		known++;
		/* Wrong bytes behind the function's last reachable byte do not belong to it. */
		if (endings[i].object != NONE ? !is_right(&endings[i], &found) : found.at == 0)
			wrong++;
	}
	tap_is(wrong, 0, "ending: of a function of unknown size it is found where it is, or not at all");
	tap_ok(known >= 12, "ending: the known shapes are found there, too");
}

static const char *judge_create(const struct create *shape, bool has_size)
{
	struct decode_code code = code_of(shape->low, shape->high, has_size);
	const char *reason = qemu_code_create(&code);

	free((void *)code.bytes);
	return reason;
}

static void test_creates(void)
{
	for (size_t i = 0; i < sizeof creates / sizeof *creates; i++)
		tap_ok((judge_create(&creates[i], true) == NULL) == creates[i].is_known,
		        "create: %s %s what is known", creates[i].promise,
		        creates[i].is_known ? "is" : "is not");
}

static void test_creates_of_unknown_size(void)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof creates / sizeof *creates; i++)
		wrong += judge_create(&creates[i], false) == NULL && !creates[i].is_known;
	tap_is(wrong, 0, "create: a function of unknown size is known by the same");
}

/* Cut anywhere, of known size and of unknown size: no byte behind it is read. */
static void test_cuts(void)
{
	unsigned accepted = 0, tried = 0;

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		for (const uint8_t *high = endings[i].low + 1; high < endings[i].high; high++, tried++) {
			struct ending cut = endings[i];
			struct qemu_ending found;

			cut.high = high;
			for (int has_size = 0; has_size < 2; has_size++) {
				if (judge_ending(&cut, has_size, &found) == NULL)
					accepted += found.at + found.length > (size_t)(high - cut.low);
			}
		}
	}
	for (size_t i = 0; i < sizeof creates / sizeof *creates; i++) {
		for (const uint8_t *low = creates[i].low; low < creates[i].high; low++) {
			for (const uint8_t *high = low + 1; high < creates[i].high; high++, tried++) {
				struct create cut = {.low = low, .high = high};

				judge_create(&cut, true);
				judge_create(&cut, false);
			}
		}
	}
	tap_is(accepted, 0, "cuts: no ending is found outside of the function, of %u that were cut", tried);
}

/* ---- callers ---- */

enum {
	TEXT_BYTES = 1 << 17,
	FUNCTION_AT = 1 << 16,
	FUNCTION_SIZE = 128,
	NEAR = FUNCTION_AT + 4000,
	FAR = FUNCTION_AT + 40000, /* farther than a file's code goes */
	TARGET_AT = 16,
	DELETE_AT = 32,
};

static uint8_t text[TEXT_BYTES];

/* An empty text with a function in its middle. */
static struct decode_code function_in_text(size_t size)
{
	memset(text, 0x90, sizeof text);
	return (struct decode_code){.bytes = text + FUNCTION_AT,
	        .address = (uintptr_t)text + FUNCTION_AT,
	        .size = size,
	        .available = sizeof text - FUNCTION_AT,
	        .text_low = (uintptr_t)text,
	        .text_high = (uintptr_t)text + sizeof text};
}

static const uintptr_t target = (uintptr_t)(text + TARGET_AT);

/* Both with the same target: what calls it, as new, or as switch. */
static const char *judge_create_alone(const struct decode_code *create)
{
	struct qemu_callers callers;

	qemu_code_callers(create, target, 0, (uintptr_t)text + DELETE_AT, &callers);
	return qemu_code_only_create(&callers, create);
}

static const char *judge_enter_alone(const struct decode_code *enter)
{
	struct qemu_callers callers;

	qemu_code_callers(enter, 0, target, (uintptr_t)text + DELETE_AT, &callers);
	return qemu_code_only_enter(&callers, enter);
}

static void put_branch(size_t at, uint8_t opcode)
{
	int32_t distance = (int32_t)(target - ((uintptr_t)text + at + 5));

	text[at] = opcode;
	memcpy(text + at + 1, &distance, sizeof distance);
}

static void put_call(size_t at)
{
	put_branch(at, 0xe8);
}

/* mov $action, %edx; then `gap` bytes; then the call at `at`. */
static void put_call_of(size_t at, uint8_t action, size_t gap)
{
	memcpy(text + at - gap - 5, (uint8_t[]){0xba, action, 0, 0, 0}, 5);
	put_call(at);
}

static void put_pushed_call_of(size_t at, uint8_t action, size_t gap)
{
	memcpy(text + at - gap - 3, (uint8_t[]){0x6a, action, 0x5a}, 3);
	put_call(at);
}

static void test_only_create(void)
{
	struct decode_code create = function_in_text(FUNCTION_SIZE);

	tap_ok(judge_create_alone(&create) != NULL, "only create: it must call new");
	put_call(FUNCTION_AT + 40);
	tap_ok(judge_create_alone(&create) == NULL, "only create: one call, by create, is fine");
	create.size = 0;
	tap_ok(judge_create_alone(&create) != NULL, "only create: of unknown size it is not known");
	create = function_in_text(FUNCTION_SIZE);
	put_call(FUNCTION_AT + 40);
	put_call(FUNCTION_AT + 80);
	tap_ok(judge_create_alone(&create) != NULL, "only create: two calls are not");
	create = function_in_text(FUNCTION_SIZE);
	put_call(FUNCTION_AT + FUNCTION_SIZE);
	tap_ok(judge_create_alone(&create) != NULL, "only create: nor is one behind create");
	create = function_in_text(FUNCTION_SIZE);
	put_call(FUNCTION_AT - 5);
	tap_ok(judge_create_alone(&create) != NULL, "only create: nor is one in front of it");
	create = function_in_text(FUNCTION_SIZE);
	put_call(FUNCTION_AT + 40);
	put_branch(NEAR, 0xe9);
	tap_ok(judge_create_alone(&create) != NULL, "only create: nor a jump from elsewhere");
	for (size_t edge = 0; edge < 2; edge++) {
		create = function_in_text(FUNCTION_SIZE);
		put_call(FUNCTION_AT + 40);
		put_call(edge == 0 ? 0 : TEXT_BYTES - 5);
		tap_ok(judge_create_alone(&create) != NULL,
		        "only create: nor a call in the %s bytes of the code", edge == 0 ? "first" : "last");
	}
	create.text_high -= 5;
	tap_ok(judge_create_alone(&create) == NULL, "only create: what is not code does not count");
}

static const char *judge_others(void (*put)(size_t, uint8_t, size_t), uint8_t action, size_t gap)
{
	const struct decode_code enter = function_in_text(FUNCTION_SIZE);

	put_call_of(FUNCTION_AT + 40, 3, 3);
	put(NEAR, action, gap);
	return judge_enter_alone(&enter);
}

static void test_actions(void)
{
	void (*const put[])(size_t, uint8_t, size_t) = {put_call_of, put_pushed_call_of};
	static const char *const way[] = {"mov", "push and pop"};

	for (size_t i = 0; i < 2; i++) {
		for (size_t gap = 0; gap < 50; gap += 7) {
			tap_ok(judge_others(put[i], 1, gap) == NULL && judge_others(put[i], 2, gap) == NULL,
			        "only enter: others may yield and terminate, by %s %zu bytes before", way[i],
			        gap);
			tap_ok(judge_others(put[i], 3, gap) != NULL && judge_others(put[i], 0, gap) != NULL &&
			                judge_others(put[i], 4, gap) != NULL,
			        "only enter: and nothing else, by %s %zu bytes before", way[i], gap);
		}
		tap_ok(judge_others(put[i], 1, 70) != NULL, "only enter: a %s too far away says nothing",
		        way[i]);
	}
}

static void test_only_enter(void)
{
	struct decode_code enter = function_in_text(FUNCTION_SIZE);

	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: it must call switch");
	put_call_of(FUNCTION_AT + 40, 3, 3);
	tap_ok(judge_enter_alone(&enter) == NULL, "only enter: one call, by enter, is fine");
	enter.size = 0;
	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: of unknown size it is not known");
	enter.size = FUNCTION_SIZE;
	put_call_of(FUNCTION_AT + 80, 3, 3);
	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: two calls are not");
	enter = function_in_text(FUNCTION_SIZE);
	put_call_of(NEAR, 1, 3);
	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: nor are others' calls alone");
	enter = function_in_text(FUNCTION_SIZE);
	put_call_of(FUNCTION_AT + 40, 3, 3);
	put_call(NEAR);
	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: nor is a call that does not say for what");
	put_call_of(NEAR, 3, 3);
	put_call_of(NEAR, 1, 20);
	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: the last number counts");
	put_call_of(NEAR, 1, 3);
	put_call_of(NEAR, 3, 20);
	tap_ok(judge_enter_alone(&enter) == NULL, "only enter: and no other");
	put_call_of(NEAR, 1, 20);
	put_pushed_call_of(NEAR, 3, 0);
	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: also right before the call");
	enter = function_in_text(FUNCTION_SIZE);
	put_call_of(FUNCTION_AT + 40, 3, 3);
	put_call(0);
	tap_ok(judge_enter_alone(&enter) != NULL,
	        "only enter: before the first byte of the code nothing is read");
	enter = function_in_text(FUNCTION_SIZE);
	put_call_of(FUNCTION_AT + 40, 3, 3);
	for (size_t i = 0; i < 63; i++)
		put_call_of(NEAR + 80 * i, 1, 3);
	tap_ok(judge_enter_alone(&enter) == NULL, "only enter: 63 others may yield");
	put_call_of(NEAR + 80 * 63, 1, 3);
	tap_ok(judge_enter_alone(&enter) != NULL, "only enter: more are not looked at, and not known");
}

/* `code` is in another function than enter, right before a call of switch. */
static const char *judge_before_call(const char *code, size_t bytes)
{
	const struct decode_code enter = function_in_text(FUNCTION_SIZE);

	put_call_of(FUNCTION_AT + 40, 3, 3);
	memcpy(text + NEAR - bytes, code, bytes);
	put_call(NEAR);
	return judge_enter_alone(&enter);
}

#define BEFORE_CALL(code) judge_before_call(code, sizeof(code) - 1)

static void test_held_actions(void)
{
	tap_ok(BEFORE_CALL("\xbd\x02\0\0\0\x90\x89\xea") == NULL,
	        "only enter: a number may have waited in another register");
	tap_ok(BEFORE_CALL("\xbd\x03\0\0\0\x90\x89\xea") != NULL, "only enter: that of an entry, too");
	tap_ok(BEFORE_CALL("\x41\xbc\x01\0\0\0\x44\x89\xe2") == NULL,
	        "only enter: in one of the higher registers as well");
	tap_ok(BEFORE_CALL("\x41\xbc\x01\0\0\0\xbd\x03\0\0\0\x89\xea") != NULL,
	        "only enter: what waits in yet another does not count");
	tap_ok(BEFORE_CALL("\xbd\x01\0\0\0\xbd\x03\0\0\0\x89\xea") != NULL,
	        "only enter: the last number that a register got counts");
	tap_ok(BEFORE_CALL("\xba\x01\0\0\0\x89\xc2") != NULL,
	        "only enter: of a register without a number nothing is known");
	tap_ok(BEFORE_CALL("\xba\x03\0\0\0\xb8\x01\0\0\0\x41\x89\xc2") != NULL,
	        "only enter: a move to %%r10d is none to %%edx");
	tap_ok(BEFORE_CALL("\xba\x03\0\0\0\x41\xba\x01\0\0\0") != NULL,
	        "only enter: nor is a number that %%r10d gets");
}

/* If each file is compiled by itself, copies of its functions are near by. */
static void test_by_file(void)
{
	struct decode_code function = function_in_text(FUNCTION_SIZE);

	put_call_of(FUNCTION_AT + 40, 3, 3);
	put_call(FAR);
	tap_ok(judge_enter_alone(&function) != NULL && judge_create_alone(&function) != NULL,
	        "by file: of a program that was compiled as a whole all code counts");
	memcpy(text + FUNCTION_AT + 100, &(uint8_t){0xe8}, 1);
	memcpy(text + FUNCTION_AT + 101, &(int32_t){DELETE_AT - (FUNCTION_AT + 105)}, 4);
	tap_ok(judge_enter_alone(&function) == NULL && judge_create_alone(&function) == NULL,
	        "by file: where the loop calls delete, what is far away does not");
	put_call(TARGET_AT + 64);
	tap_ok(judge_enter_alone(&function) == NULL, "by file: neither above nor below");
	put_call(NEAR);
	tap_ok(judge_enter_alone(&function) != NULL && judge_create_alone(&function) != NULL,
	        "by file: but what is near by does");
	memset(text + NEAR, 0x90, 5);
	put_call(FUNCTION_AT - 4000);
	tap_ok(judge_enter_alone(&function) != NULL, "by file: on either side");
}

static void test_is_called(void)
{
	struct decode_code function = function_in_text(FUNCTION_SIZE);

	function.address = target;
	tap_ok(!qemu_code_is_called(&function), "called: a function that no code calls is not");
	put_call(NEAR);
	tap_ok(qemu_code_is_called(&function), "called: one that is called is");
	function.size = 0;
	tap_ok(qemu_code_is_called(&function), "called: also where its size is unknown");
	function_in_text(FUNCTION_SIZE);
	put_branch(TEXT_BYTES - 5, 0xe9);
	tap_ok(qemu_code_is_called(&function), "called: so is one to which other code jumps at its end");
}

int main(void)
{
	if (decode_open() != 0) {
		tap_skip("libZydis is not installed", "ending: code is judged");
		return tap_done();
	}
	test_endings();
	test_endings_of_unknown_size();
	test_creates();
	test_creates_of_unknown_size();
	test_cuts();
	test_only_create();
	test_actions();
	test_only_enter();
	test_held_actions();
	test_by_file();
	test_is_called();
	decode_close();
	return tap_done();
}
