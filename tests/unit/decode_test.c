/* SPDX-License-Identifier: MIT */
/*
 * Golden bytes: each function as a compiler made it, and what its trampoline must be. The function is at FUNCTION,
 * the trampoline at TRAMPOLINE, so that the numbers can be checked by hand. All shapes are tried again behind an
 * endbr64, where only the four bytes in front may differ.
 */
#include <ctype.h>
#include <errno.h>

#include "patch/decode.h"
#include "tap.h"

#define ENDBR64 "f3 0f 1e fa "

enum {
	IMAGE = 0x400000,
	FUNCTION = 0x401000,
	TRAMPOLINE = 0x300000,
	TEXT_END = 0x480000,
	IMAGE_END = 0x500000,
	ROOM = 256,
	UNKNOWN_SIZE = -1,
};

struct golden {
	const char *name;
	const char *before; /* the function, to its end */
	const char *behind; /* the bytes behind it */
	const char *after;  /* the trampoline */
	unsigned moved;
	bool ends;
};

static const struct golden goldens[] = {
        {"push, sub $0x880,%rsp", "53 48 81 ec 80 08 00 00 c3", "", "53 48 81 ec 80 08 00 00 e9 fb 0f 10 00",
                8, false},
        {"push %rbp, sub $0x28,%rsp", "55 48 83 ec 28 c3", "", "55 48 83 ec 28 e9 fb 0f 10 00", 5, false},
        {"push, mov $0x79,%ecx", "53 b9 79 00 00 00 c3", "", "53 b9 79 00 00 00 e9 fb 0f 10 00", 6, false},
        {"push, mov $0x3c8,%edx", "53 ba c8 03 00 00 c3", "", "53 ba c8 03 00 00 e9 fb 0f 10 00", 6, false},
        {"push, mov %rdi,%rbx, mov 0x60(%rdi),%rsi", "53 48 89 fb 48 8b 77 60 c3", "",
                "53 48 89 fb 48 8b 77 60 e9 fb 0f 10 00", 8, false},
        {"push %r12, push %rbp, mov %rdi,%rbp", "41 54 55 48 89 fd 53 c3", "",
                "41 54 55 48 89 fd e9 fb 0f 10 00", 6, false},
        {"push %r13, push %r12, push %rbp", "41 55 41 54 55 48 89 fd c3", "", "41 55 41 54 55 e9 fb 0f 10 00",
                5, false},
        {"sub $0x28,%rsp, mov %rbx,0x10(%rsp)", "48 83 ec 28 48 89 5c 24 10 c3", "",
                "48 83 ec 28 48 89 5c 24 10 e9 fb 0f 10 00", 9, false},
        {"lock sub %edi,variable(%rip), ret", "f0 29 3d f9 05 0c 00 c3", "53 c3",
                "f0 29 3d f9 15 1c 00 e9 fb 0f 10 00", 7, false},
        {"push %rbp, lea variable(%rip),%rbp", "55 48 8d 2d 08 64 0c 00 ba 38 00 00 00 c3", "",
                "55 48 8d 2d 08 74 1c 00 e9 fb 0f 10 00", 8, false},
        {"movl $1,variable(%rip) with its immediate behind", "c7 05 00 01 00 00 01 00 00 00 c3", "",
                "c7 05 00 11 10 00 01 00 00 00 e9 fb 0f 10 00", 10, false},
        {"vmovdqu variable(%rip),%xmm0", "c5 fa 6f 05 00 01 00 00 c3", "",
                "c5 fa 6f 05 00 11 10 00 e9 fb 0f 10 00", 8, false},
        {"lea of its own entry", "48 8d 05 f9 ff ff ff c3", "", "48 8d 05 f9 0f 10 00 e9 fb 0f 10 00", 7,
                false},
        {"jo, long", "0f 80 01 00 00 00 c3 c3", "", "0f 80 01 10 10 00 e9 fb 0f 10 00", 6, false},
        {"jmp elsewhere", "e9 6b 44 00 00", "53 c3", "e9 6b 54 10 00", 5, true},
        {"jmp elsewhere, short, padded", "eb 70", "66 90 0f 1f 44 00 00", "e9 6d 10 10 00", 2, true},
        {"jmp *slot(%rip)", "ff 25 fa ff 07 00", "53 c3", "ff 25 fa 0f 18 00", 6, true},
        {"je, short, made long", "85 ff 74 0a 48 89 f8 48 01 f0 48 01 f0 c3 90 c3", "",
                "85 ff 0f 84 06 10 10 00 48 89 f8 e9 f7 0f 10 00", 7, false},
        {"jne, long", "48 85 ff 0f 85 01 00 00 00 c3 c3", "", "48 85 ff 0f 85 01 10 10 00 e9 fb 0f 10 00", 9,
                false},
        {"two short branches", "74 08 79 06 31 c0 90 90 90 90 c3", "",
                "0f 84 04 10 10 00 0f 89 fe 0f 10 00 31 c0 e9 f3 0f 10 00", 6, false},
        {"ret, padded with nops", "c3", "90 66 2e 0f 1f 84 00 00 00 00 00", "c3", 1, true},
        {"xor, ret, padded with int3", "31 c0 c3", "cc cc cc cc", "31 c0 c3", 3, true},
        {"ud2, padded", "0f 0b", "90 90 90", "0f 0b", 2, true},
        {"nopl of 5 bytes", "0f 1f 44 00 00 c3", "", "0f 1f 44 00 00 e9 fb 0f 10 00", 5, false},
        {"mov %fs:0x28,%rax", "64 48 8b 04 25 28 00 00 00 c3", "",
                "64 48 8b 04 25 28 00 00 00 e9 fb 0f 10 00", 9, false},
        {"a loop further on", "53 48 89 fb 90 90 ff cb 75 fb 5b c3", "", "53 48 89 fb 90 e9 fb 0f 10 00", 5,
                false},
};

struct refused {
	const char *name;
	const char *before;
	const char *behind;
	int size; /* of `before`, or UNKNOWN_SIZE */
	enum decode_refusal refusal;
};

static const struct refused refuseds[] = {
        {"ret, another function behind it", "c3", "53 48 89 fb c3", 1, DECODE_TOO_SHORT},
        {"ret, padded less than a jump needs", "c3", "90 90 90 53 c3", 1, DECODE_TOO_SHORT},
        {"ret, a pause behind it", "c3", "f3 90 90 90 90", 1, DECODE_TOO_SHORT},
        {"ret with nops, of unknown size", "c3", "90 90 90 90 90", UNKNOWN_SIZE, DECODE_TOO_SHORT},
        {"ret, its own code behind it", "c3 31 c0 31 c0 c3", "", 6, DECODE_TOO_SHORT},
        {"an end that is no end", "53 5b", "90 90 90 90", 2, DECODE_TOO_SHORT},
        {"an instruction longer than the function", "53 48 81 ec", "80 08 00 00", 4, DECODE_TOO_SHORT},
        {"jmp, short, other code behind it", "eb 70", "31 c0 31 c0", 2, DECODE_TOO_SHORT},
        {"an invalid opcode", "06 90 90 90 90 c3", "", 6, DECODE_UNKNOWN},
        {"an invalid opcode second", "53 06 90 90 90 c3", "", 6, DECODE_UNKNOWN},
        {"an invalid opcode further on", "53 48 83 ec 10 06 c3", "", 7, DECODE_UNKNOWN},
        {"code cut off by the end of the text", "53 48 81 ec", "", UNKNOWN_SIZE, DECODE_UNKNOWN},
        {"a 16-bit jmp", "66 e9 00 10 00 00 c3", "", 7, DECODE_UNKNOWN},
        {"lea (%eip)", "67 48 8d 05 00 01 00 00 c3", "", 9, DECODE_UNKNOWN},
        {"hlt", "f4 90 90 90 90 c3", "", 6, DECODE_PRIVILEGED},
        {"wrmsr second", "31 c0 0f 30 90 c3", "", 6, DECODE_PRIVILEGED},
        {"mov %rax,%cr0", "0f 22 c0 90 90 c3", "", 6, DECODE_PRIVILEGED},
        {"call", "e8 00 10 00 00 c3", "", 6, DECODE_CALL},
        {"call second", "53 e8 00 10 00 00 5b c3", "", 8, DECODE_CALL},
        {"call *%rax", "ff d0 90 90 90 c3", "", 6, DECODE_CALL},
        {"call *slot(%rip)", "ff 15 00 01 00 00 c3", "", 7, DECODE_CALL},
        {"loop", "e2 08 90 90 90 c3", "", 6, DECODE_LOOP},
        {"jrcxz", "e3 08 90 90 90 c3", "", 6, DECODE_LOOP},
        {"xbegin", "c7 f8 00 01 00 00 c3", "", 7, DECODE_LOOP},
        {"a short branch back to its entry", "48 89 f8 48 ff cf 75 f8 c3", "", 9, DECODE_BRANCH_BACK},
        {"a long branch back inside", "53 48 89 fb 90 90 ff cb 0f 85 f3 ff ff ff 5b c3", "", 16,
                DECODE_BRANCH_BACK},
        {"a jump back inside", "53 48 89 fb 90 90 eb f9 c3", "", 9, DECODE_BRANCH_BACK},
        {"loop back inside", "53 48 89 fb 90 90 e2 f9 5b c3", "", 10, DECODE_BRANCH_BACK},
        {"a call back inside", "53 48 83 ec 10 e8 f7 ff ff ff 5b c3", "", 12, DECODE_BRANCH_BACK},
        {"a first branch to itself", "75 fe 90 90 90 c3", "", 6, DECODE_BRANCH_BACK},
        {"a branch back, of unknown size", "48 89 f8 48 ff cf 75 f8 c3", "06", UNKNOWN_SIZE,
                DECODE_BRANCH_BACK},
        {"a branch back behind a ret that a branch passes, of unknown size",
                "48 85 ff 75 03 31 c0 c3 90 eb f5", "06", UNKNOWN_SIZE, DECODE_BRANCH_BACK},
        {"a branch to what lies behind its first ret", "c3 90 90 90 90 75 fb c3", "", 8, DECODE_BRANCH_BACK},
        {"a jump into an instruction's middle", "53 48 89 fb 90 eb 01 b8 5b c3 00 00 c3", "", 13,
                DECODE_OVERLAP},
        {"a branch past a prefix, of unknown size", "53 48 89 fb 90 74 01 f0 ff 07 c3", "", UNKNOWN_SIZE,
                DECODE_OVERLAP},
        {"jmp out of the image, upward", "e9 00 00 10 00 90 c3", "", 7, DECODE_HOOKED},
        {"jmp out of the image, downward", "e9 00 e0 ef ff 90 c3", "", 7, DECODE_HOOKED},
        {"jmp *address(%rip), its address behind it", "ff 25 00 00 00 00 00 10 20 30 40 50 00 00 c3", "", 15,
                DECODE_HOOKED},
        {"movabs $address,%rax, jmp *%rax", "48 b8 00 10 20 30 40 50 00 00 ff e0 c3", "", 13, DECODE_HOOKED},
        {"movabs $address,%r11, jmp *%r11", "49 bb 00 10 20 30 40 50 00 00 41 ff e3", "", 13, DECODE_HOOKED},
        {"a breakpoint", "cc 48 83 ec 28 c3", "", 6, DECODE_HOOKED},
        {"a breakpoint second", "53 cc 83 ec 28 c3", "", 6, DECODE_HOOKED},
};

struct operand {
	const char *name;
	const char *before;
	int size;
	enum decode_refusal refusal;
	uint64_t address;
};

static const struct operand operands[] = {
        {"lock sub %edi,variable(%rip)", "f0 29 3d f9 05 0c 00 c3", 8, DECODE_FINE, FUNCTION + 7 + 0xc05f9},
        {"sub %ebx,variable(%rip) in the middle, under a mutex",
                "55 48 8d 2d 08 64 0c 00 ba 38 00 00 00 48 8d 35 46 7e 01 00 53 89 fb 48 89 ef 48 83 ec 08 "
                "48 8b 05 03 45 0c 00 ff d0 29 1d 53 45 0c 00 48 83 c4 08 48 89 ef 5b 5d e9 b5 f6 ff ff",
                59, DECODE_FINE, FUNCTION + 45 + 0xc4553},
        {"sub %r12d,variable(%rip)", "44 29 25 00 01 00 00 c3", 8, DECODE_FINE, FUNCTION + 7 + 0x100},
        {"a variable below the function", "29 3d 00 ff ff ff c3", 7, DECODE_FINE, FUNCTION + 6 - 0x100},
        {"of unknown size", "29 3d 00 01 00 00 c3 06", UNKNOWN_SIZE, DECODE_FINE, FUNCTION + 6 + 0x100},
        {"none: a 64-bit sub", "48 29 3d 00 01 00 00 c3", 8, DECODE_NO_OPERAND, 0},
        {"none: a 16-bit sub", "66 29 3d 00 01 00 00 c3", 8, DECODE_NO_OPERAND, 0},
        {"none: an 8-bit sub", "28 3d 00 01 00 00 c3", 7, DECODE_NO_OPERAND, 0},
        {"none: an add", "f0 01 3d 00 01 00 00 c3", 8, DECODE_NO_OPERAND, 0},
        {"none: a sub from a register", "29 fb c3", 3, DECODE_NO_OPERAND, 0},
        {"none: a sub from memory elsewhere", "29 3b c3", 3, DECODE_NO_OPERAND, 0},
        {"none: it lies behind the function", "c3 29 3d 00 01 00 00 c3", 1, DECODE_NO_OPERAND, 0},
        {"two", "29 3d 00 01 00 00 29 3d 00 02 00 00 c3", 13, DECODE_MANY_OPERANDS, 0},
        {"bytes that are no code", "29 3d 00 01 00 00 06 c3", 8, DECODE_UNKNOWN, 0},
};

/* Appends the bytes that `text` spells; returns the new length. */
static size_t spell(uint8_t *bytes, size_t length, const char *text)
{
	for (char *end; *text != '\0'; text = end + (*end == ' '))
		bytes[length++] = (uint8_t)strtoul(text, &end, 16);
	return length;
}

static void say(const char *what, const uint8_t *bytes, size_t length)
{
	printf("# %s", what);
	for (size_t i = 0; i < length; i++)
		printf(" %02x", bytes[i]);
	printf("\n");
}

/* A function whose bytes are those that three texts spell; its size is that of the first two. */
static struct decode_code code_of(uint8_t *bytes, const char *lead, const char *before, const char *behind)
{
	size_t size = spell(bytes, spell(bytes, 0, lead), before);

	return (struct decode_code){
	        .bytes = bytes,
	        .address = FUNCTION,
	        .size = size,
	        .available = spell(bytes, size, behind),
	        .text_low = FUNCTION,
	        .text_high = TEXT_END,
	        .image_low = IMAGE,
	        .image_high = IMAGE_END,
	};
}

static void test_golden(const struct golden *golden, const char *lead, const char *label)
{
	uint8_t bytes[ROOM], wanted[ROOM], moved[DECODE_MOVED_BYTES];
	struct decode_code code = code_of(bytes, lead, golden->before, golden->behind);
	size_t length = spell(wanted, spell(wanted, 0, lead), golden->after);
	unsigned skip = *lead != '\0' ? 4 : 0;
	struct decode_prologue prologue;
	size_t got = 0;
	enum decode_refusal refusal = decode_prologue(&code, &prologue);

	if (refusal == DECODE_FINE)
		refusal = decode_move(&code, &prologue, TRAMPOLINE, moved, &got);
	if (!tap_ok(refusal == DECODE_FINE && prologue.skip == skip && prologue.moved == golden->moved &&
	                    prologue.ends == golden->ends && got == length && memcmp(moved, wanted, got) == 0,
	            "decode: %s%s runs elsewhere as it must", golden->name, label)) {
		printf("# %s; skip %u moved %u ends %d\n", decode_refusal_text(refusal), prologue.skip,
		        prologue.moved, prologue.ends);
		say("got   ", moved, got);
		say("wanted", wanted, length);
	}
}

static void test_refused(const struct refused *refused, const char *lead, const char *label)
{
	uint8_t bytes[ROOM];
	struct decode_code code = code_of(bytes, lead, refused->before, refused->behind);
	struct decode_prologue prologue;

	if (refused->size == UNKNOWN_SIZE)
		code.size = 0;
	tap_is_text(decode_refusal_text(decode_prologue(&code, &prologue)),
	        decode_refusal_text(refused->refusal), "decode: %s%s is refused", refused->name, label);
}

static void test_operand(const struct operand *operand)
{
	uint8_t bytes[ROOM];
	struct decode_code code = code_of(bytes, "", operand->before, "");
	uint64_t address = 0;
	enum decode_refusal refusal;

	code.size = operand->size == UNKNOWN_SIZE ? 0 : (size_t)operand->size;
	refusal = decode_operand(&code, &address);
	tap_is_text(decode_refusal_text(refusal), decode_refusal_text(operand->refusal),
	        "decode: the operand search judges right: %s", operand->name);
	if (refusal == DECODE_FINE)
		tap_is(address, operand->address, "decode: the operand's address is right: %s",
		        operand->name);
}

static void test_recursion(void)
{
	uint8_t bytes[ROOM];
	struct decode_code code = code_of(bytes, "", "53 48 83 ec 10 e8 f6 ff ff ff 5b c3", "");
	struct decode_prologue prologue;

	tap_is(decode_prologue(&code, &prologue), DECODE_FINE, "decode: a function may call itself");
	code = code_of(bytes, ENDBR64, "53 48 83 ec 10 e8 f2 ff ff ff 5b c3", "");
	tap_is(decode_prologue(&code, &prologue), DECODE_FINE,
	        "decode: a function may call itself, behind endbr64");
}

static void test_padding_boundary(void)
{
	uint8_t bytes[ROOM];
	struct decode_code code = code_of(bytes, "", "31 c0 c3", "90 90 90 90 90");
	struct decode_prologue prologue;

	code.address = FUNCTION + 11;
	tap_is(decode_prologue(&code, &prologue), DECODE_FINE,
	        "decode: padding counts up to the next function's address");
	code.address = FUNCTION + 12;
	tap_is(decode_prologue(&code, &prologue), DECODE_TOO_SHORT,
	        "decode: nops count no further than to where the next function may begin");
	code.address = FUNCTION + 1;
	code.size = 0;
	tap_is(decode_prologue(&code, &prologue), DECODE_TOO_SHORT,
	        "decode: nops do not count where the function's size is unknown");
}

static void test_reach(void)
{
	uint8_t bytes[ROOM], moved[DECODE_MOVED_BYTES];
	struct decode_code code = code_of(bytes, "", "55 48 8d 2d 00 00 00 70 c3", "");
	struct decode_prologue prologue;
	const uint64_t far = FUNCTION + (1ull << 31);
	size_t length;

	tap_is(decode_prologue(&code, &prologue), DECODE_FINE,
	        "decode: a far operand is no reason to refuse");
	tap_is(decode_move(&code, &prologue, FUNCTION + 0x10000000, moved, &length), DECODE_FINE,
	        "decode: an operand within 2 GiB of the trampoline is fine");
	code.address = far;
	tap_is(decode_move(&code, &prologue, far - 0x10000100, moved, &length), DECODE_OUT_OF_RANGE,
	        "decode: an operand over 2 GiB from the trampoline is refused");
	code = code_of(bytes, "", "55 48 83 ec 28 c3", "");
	tap_is(decode_move(&code, &(struct decode_prologue){.moved = 5}, 2 * far, moved, &length),
	        DECODE_OUT_OF_RANGE, "decode: a trampoline that cannot jump back is refused");
}

/* Code where it lies: a part that is rarely executed, and 0x100 bytes above it the function that branches to it. */
static const struct {
	const char *promise, *part, *function;
	enum decode_refusal refusal;
} parts[] = {
#define FUNCTION_OF_PART "48 83 ec 08 8b 07 85 c0 0f 84 f2 fe ff ff c3"
        {"a jump from elsewhere to what would be overwritten", "e8 00 00 00 00 e9 fa 00 00 00",
                FUNCTION_OF_PART, DECODE_BRANCH_BACK},
        {"a branch from elsewhere to it", "85 c0 0f 85 fc 00 00 00", FUNCTION_OF_PART, DECODE_BRANCH_BACK},
        {"a jump from elsewhere to it, behind endbr64", "e8 00 00 00 00 e9 fe 00 00 00",
                ENDBR64 "48 83 ec 08 8b 07 85 c0 0f 84 ee fe ff ff c3", DECODE_BRANCH_BACK},
        {"a jump from elsewhere behind it", "e8 00 00 00 00 e9 fe 00 00 00", FUNCTION_OF_PART, DECODE_FINE},
        {"a call from elsewhere", "e8 fb 00 00 00 c3", FUNCTION_OF_PART, DECODE_FINE},
};

static void test_parts(void)
{
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		uint8_t bytes[0x200] = {0};
		uint8_t *function = bytes + 0x100;
		const uintptr_t low = (uintptr_t)bytes, high = low + sizeof bytes;
		struct decode_code code = {function, (uintptr_t)function,
		        spell(function, 0, parts[i].function), sizeof bytes - 0x100, low, high, low, high};
		struct decode_prologue prologue;

		spell(bytes, 0, parts[i].part);
		tap_is_text(decode_refusal_text(decode_prologue(&code, &prologue)),
		        decode_refusal_text(parts[i].refusal), "decode: %s is judged right",
		        parts[i].promise);
	}
}

/* Functions whose callers may know, or not, all that runs in them. Behind each lies `behind`. */
static const struct {
	const char *name, *function, *behind;
	bool leads_away;
} callers[] = {
        {"one that calls nothing", "48 8b 07 48 89 06 c3", "", false},
        {"a call of memory's address", "ff 15 00 00 00 00 c3", "", true},
        {"a call of a register's address", "48 83 ec 08 ff d0 58 c3", "", true},
        {"a jump to memory's address", "ff 25 00 00 00 00", "", true},
        {"a jump to what an object says", "ff 67 10", "", true},
        {"a jump to a register's address", "48 8b 07 ff e0", "", true},
        {"a jump that a table of distances tells", "48 63 04 83 48 01 d8 ff e0 c3", "", false},
        {"a jump that a table of addresses tells", "ff 24 c5 00 10 40 00 c3", "", false},
        {"a jump without tracking", "48 8b 07 3e ff e0 c3", "", false},
        {"a call of what calls nothing", "48 83 ec 08 e8 02 00 00 00 58 c3", "48 89 f8 c3", false},
        {"a call of a stub for another object", "48 83 ec 08 e8 02 00 00 00 58 c3",
                "f3 0f 1e fa f2 ff 25 00 00 00 00", true},
        {"a jump to such a stub", "48 89 f8 e9 00 00 00 00", "ff 25 00 00 00 00", true},
        {"a call at its very end", "85 ff 74 01 c3 e8 00 00 00 00", "ff 25 00 00 00 00", false},
        {"a call of itself", "48 83 ec 08 e8 f7 ff ff ff 58 c3", "", false},
        {"a branch to such a stub", "85 ff 0f 84 01 00 00 00 c3", "ff 25 00 00 00 00", false},
        {"one with unknown instructions", "48 89 f8 06 c3", "", true},
};

static void test_leads_away(void)
{
	for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
		uint8_t bytes[ROOM];
		struct decode_code code = code_of(bytes, "", callers[i].function, callers[i].behind);

		code.address = code.text_low = (uintptr_t)bytes;
		code.text_high = (uintptr_t)bytes + code.available;
		tap_is(decode_leads_away(&code), callers[i].leads_away, "decode: %s %s", callers[i].name,
		        callers[i].leads_away ? "leads to code that callers do not know"
		                              : "does not lead away");
	}
}

static void test_jump(void)
{
	static const uint8_t wanted[] = {0xe9, 0xfb, 0xef, 0xef, 0xff};
	uint8_t bytes[DECODE_JUMP_BYTES];
	const uint64_t from = 1ull << 32;

	tap_ok(decode_put_jump(bytes, FUNCTION, TRAMPOLINE) && memcmp(bytes, wanted, sizeof(wanted)) == 0,
	        "decode: the jump over an entry is jmp rel32 to its target");
	tap_ok(decode_put_jump(bytes, from, from + DECODE_JUMP_BYTES + 0x7fffffff),
	        "decode: a jump reaches 2 GiB less one byte upward");
	tap_ok(!decode_put_jump(bytes, from, from + DECODE_JUMP_BYTES + 0x80000000),
	        "decode: a jump of 2 GiB upward is refused");
	tap_ok(decode_put_jump(bytes, from, from + DECODE_JUMP_BYTES - 0x80000000),
	        "decode: a jump reaches 2 GiB downward");
	tap_ok(!decode_put_jump(bytes, from, from + DECODE_JUMP_BYTES - 0x80000001),
	        "decode: a jump of more than 2 GiB downward is refused");
}

static void test_closed(const char *when)
{
	uint8_t bytes[ROOM], moved[DECODE_MOVED_BYTES];
	struct decode_code code = code_of(bytes, "", goldens[0].before, "");
	struct decode_prologue prologue;
	uint64_t address;
	size_t length;

	tap_is(decode_prologue(&code, &prologue), DECODE_NO_DECODER, "decode: no prologue is judged %s",
	        when);
	tap_is(decode_move(&code, &(struct decode_prologue){.moved = 8}, TRAMPOLINE, moved, &length),
	        DECODE_NO_DECODER, "decode: nothing is moved %s", when);
	tap_is(decode_operand(&code, &address), DECODE_NO_DECODER, "decode: no operand is sought %s", when);
}

/* Every start in every golden function is decoded with every size: no byte behind the last may be read. */
static void test_cuts(void)
{
	unsigned tried = 0;

	for (size_t i = 0; i < sizeof(goldens) / sizeof(*goldens); i++) {
		uint8_t bytes[ROOM];
		struct decode_code whole = code_of(bytes, ENDBR64, goldens[i].before, goldens[i].behind);

		for (size_t from = 0; from < whole.available; from++) {
			for (size_t length = 1; length <= whole.available - from; length++) {
				uint8_t *copy = malloc(length);
				struct decode_code code = whole;
				struct decode_prologue prologue;
				uint64_t address;

				if (copy == NULL)
					continue;
				code.bytes = memcpy(copy, bytes + from, length);
				code.available = length;
				for (code.size = 0; code.size <= length; code.size++, tried++) {
					decode_prologue(&code, &prologue);
					decode_operand(&code, &address);
				}
				free(copy);
			}
		}
	}
	tap_ok(tried > 1000, "decode: %u cuttings of the functions are judged without a fault", tried);
}

int main(void)
{
	int error;

	test_closed("before the decoder is open");
	error = decode_open();
	if (error == -ENOENT) {
		tap_skip("libZydis is not installed", "decode: functions are judged");
		return tap_done();
	}
	tap_is(error, 0, "decode: the decoder opens");
	tap_is(decode_open(), 0, "decode: the decoder may be opened again");
	for (size_t i = 0; i < sizeof(goldens) / sizeof(*goldens); i++) {
		test_golden(&goldens[i], "", "");
		test_golden(&goldens[i], ENDBR64, ", behind endbr64,");
	}
	for (size_t i = 0; i < sizeof(refuseds) / sizeof(*refuseds); i++) {
		test_refused(&refuseds[i], "", "");
		test_refused(&refuseds[i], ENDBR64, ", behind endbr64,");
	}
	for (size_t i = 0; i < sizeof(operands) / sizeof(*operands); i++)
		test_operand(&operands[i]);
	test_parts();
	test_leads_away();
	test_recursion();
	test_padding_boundary();
	test_reach();
	test_jump();
	test_cuts();
	decode_close();
	test_closed("after the decoder is closed");
	return tap_done();
}
