/* SPDX-License-Identifier: MIT */
/*
 * Code for aarch64 is read, on any processor. Golden words: each function as an assembler made it, and what its trampoline
 * must be. The function is at FUNCTION, the trampoline at TRAMPOLINE, so that the numbers can be checked by hand. Nothing
 * behind a function can be read. aarch64_qemu_test.c has QEMU's own functions.
 */
#include "patch/a64.h"
#include "patch/decode.h"
#include "patch/references.h"
#include "tap.h"

#include <stdlib.h>

enum {
	IMAGE = 0x400000,
	FUNCTION = 0x401000,
	TRAMPOLINE = 0x300000,
	TEXT_END = 0x480000,
	IMAGE_END = 0x500000,
	WORDS = 64,
	NOP = (int)0xd503201f,
};

struct golden {
	const char *name;
	const char *before; /* the function, to its end */
	const char *after;  /* the trampoline */
	unsigned skip;
	bool ends;
};

static const struct golden goldens[] = {
        {"stp x29, x30, [sp, #-48]!", "a9bd7bfd d65f03c0", "a9bd7bfd 14040400", 0, false},
        {"sub sp, sp, #0x90", "d10243ff d65f03c0", "d10243ff 14040400", 0, false},
        {"paciasp, stp", "d503233f a9bb7bfd d50323bf d65f03c0", "d503233f a9bb7bfd 14040400", 4, false},
        {"pacibsp, stp", "d503237f a9bb7bfd d50323ff d65f03c0", "d503237f a9bb7bfd 14040400", 4, false},
        {"bti c, stp", "d503245f a9bf7bfd d65f03c0", "d503245f a9bf7bfd 14040400", 4, false},
        {"bti jc, mov", "d50324df aa0103e0 d65f03c0", "d50324df aa0103e0 14040400", 4, false},
        {"bti c, paciasp", "d503245f d503233f d50323bf d65f03c0", "d503245f d503233f 14040400", 4, false},
        {"str of a vector register", "3c9f0fe8 d65f03c0", "3c9f0fe8 14040400", 0, false},
        {"mrs x1, tpidr_el0", "d53bd041 d65f03c0", "d53bd041 14040400", 0, false},
        {"svc", "d4000001 d65f03c0", "d4000001 14040400", 0, false},
        {"extr", "93c20c20 d65f03c0", "93c20c20 14040400", 0, false},
        {"pacia x0, x1", "dac10020 d65f03c0", "dac10020 14040400", 0, false},
        {"adrp", "f00003e2 d65f03c0", "90000c02 14040400", 0, false},
        {"adrp of a page below", "f0fffff3 d65f03c0", "90000813 14040400", 0, false},
        {"adr", "70000903 d65f03c0", "b0000803 91048c63 140403ff", 0, false},
        {"bti c, adr", "d503245f 700008e3 d65f03c0", "d503245f b0000803 91048c63 140403ff", 4, false},
        {"adr of its own entry", "10000003 d65f03c0", "b0000803 91000063 140403ff", 0, false},
        {"cbz", "b4000200 d65f03c0", "b4000040 14040400 1404040e", 0, false},
        {"cbnz w", "35fffe07 d65f03c0", "35000047 14040400 140403ee", 0, false},
        {"tbz", "36780200 d65f03c0", "36780040 14040400 1404040e", 0, false},
        {"tbnz of a high bit", "b7fffe00 d65f03c0", "b7f80040 14040400 140403ee", 0, false},
        {"b.ne", "54000201 d65f03c0", "54000041 14040400 1404040e", 0, false},
        {"paciasp, cbz", "d503233f b40001e0 d65f03c0", "d503233f b4000040 14040400 1404040d", 4, false},
        {"b elsewhere", "14001000", "14041400", 0, true},
        {"paciasp, b elsewhere", "d503233f 14000fff", "d503233f 140413ff", 4, true},
        {"ret", "d65f03c0", "d65f03c0", 0, true},
        {"retaa", "d65f0bff", "d65f0bff", 0, true},
        {"br x16", "d61f0200", "d61f0200", 0, true},
        {"a loop further on", "a9bf7bfd d503201f d1000400 b5ffffe0 d65f03c0", "a9bf7bfd 14040400", 0, false},
        {"a call of itself", "a9bf7bfd 97ffffff d65f03c0", "a9bf7bfd 14040400", 0, false},
};

struct refused {
	const char *name;
	const char *before;
	enum decode_refusal refusal;
};

static const struct refused refuseds[] = {
        {"nothing", "", DECODE_TOO_SHORT},
        {"bl", "94000040 d65f03c0", DECODE_CALL},
        {"paciasp, bl", "d503233f 9400003f d65f03c0", DECODE_CALL},
        {"blr", "d63f0000 d65f03c0", DECODE_CALL},
        {"blraaz", "d63f081f d65f03c0", DECODE_CALL},
        {"ldr of what lies near by", "58000800 d65f03c0", DECODE_LOOP},
        {"ldrsw of what lies near by", "98000800 d65f03c0", DECODE_LOOP},
        {"ldr of a vector that lies near by", "9c000800 d65f03c0", DECODE_LOOP},
        {"prfm of what lies near by", "d8000800 d65f03c0", DECODE_LOOP},
        {"a landing pad alone", "d503245f", DECODE_TOO_SHORT},
        {"udf", "00000000 d65f03c0", DECODE_UNKNOWN},
        {"a scalable vector", "04e0e3e0 d65f03c0", DECODE_UNKNOWN},
        {"autiasppc, which is about its own address", "f380005f d65f03c0", DECODE_UNKNOWN},
        {"paciasppc, which is about its own address", "dac1a7fe d65f03c0", DECODE_UNKNOWN},
        {"cbeq, of a later architecture", "74c00000 d65f03c0", DECODE_UNKNOWN},
        {"retaasppc, of a later architecture", "5500001f", DECODE_UNKNOWN},
        {"eret", "d69f03e0", DECODE_UNKNOWN},
        {"hvc", "d4000002 d65f03c0", DECODE_UNKNOWN},
        {"an unknown instruction further on", "d503201f d503201f 00000000 d65f03c0", DECODE_UNKNOWN},
        {"a branch back to its entry", "d1000400 b5ffffe0 d65f03c0", DECODE_BRANCH_BACK},
        {"a jump back to its entry", "d1000400 17ffffff", DECODE_BRANCH_BACK},
        {"a branch to itself", "54000001 d65f03c0", DECODE_BRANCH_BACK},
        {"a branch back to its second instruction", "d503233f d1000400 b5ffffe0 d65f03c0",
                DECODE_BRANCH_BACK},
        {"a branch back to its landing pad", "d503245f d1000400 371fffc0 d65f03c0", DECODE_BRANCH_BACK},
        {"a call of its second instruction", "d503233f d503201f 97ffffff d65f03c0", DECODE_BRANCH_BACK},
        {"a branch back behind a ret that a branch passes", "d503201f b4000040 d65f03c0 17fffffd",
                DECODE_BRANCH_BACK},
        {"brk", "d4200000 d65f03c0", DECODE_HOOKED},
        {"bti c, brk", "d503245f d4200000 d65f03c0", DECODE_HOOKED},
        {"b out of the image, upward", "14040000", DECODE_HOOKED},
        {"b out of the image, downward", "17fc0000", DECODE_HOOKED},
        {"paciasp, b out of the image", "d503233f 1403ffff", DECODE_HOOKED},
        {"ldr x16 of an address, br x16", "58000050 d61f0200 00001234 00000000", DECODE_HOOKED},
        {"ldr x17 of an address, br x17", "58000051 d61f0220 00001234 00000000", DECODE_HOOKED},
        {"adrp out of the image", "90008010 91002210 d61f0200", DECODE_HOOKED},
        {"mov x16, a whole address; br x16", "d2800030 f2a00050 f2c00070 d61f0200", DECODE_HOOKED},
};

struct operand {
	const char *name;
	const char *before;
	enum decode_refusal refusal;
	uint64_t address;
};

static const struct operand operands[] = {
        {"ldadd in another function, as 7.2 is",
                "a9bf7bfd 4b0003e0 f0000661 910003fd 9132e021 940003fb a8c17bfd d65f03c0", DECODE_FINE,
                0x4d0cb8},
        {"ldadd", "4b0003e0 b0000001 91002021 b8e00020 d65f03c0", DECODE_FINE, 0x402008},
        {"a subtraction, as 10.0 is",
                "2a0003f4 d0000013 91001273 aa1303e0 d63f0060 b0000002 aa1303e0 b94ab041 4b140021 b90ab041 140003f6",
                DECODE_FINE, 0x402ab0},
        {"adr", "10000801 4b0003e0 b820003f d65f03c0", DECODE_FINE, 0x401100},
        {"none: an addition", "b0000002 b9400841 0b000021 b9000841 d65f03c0", DECODE_NO_OPERAND, 0x0},
        {"none: of 64 bits", "b0000002 f9400441 cb000021 f9000441 d65f03c0", DECODE_NO_OPERAND, 0x0},
        {"none: to an address that is not known", "b9400841 4b000021 b9000841 d65f03c0", DECODE_NO_OPERAND,
                0x0},
        {"none: a call has changed the address", "b0000002 4b000034 9400003e b9000854 d65f03c0",
                DECODE_NO_OPERAND, 0x0},
        {"none: the address was loaded again", "b0000002 4b000021 f9400042 b9000841 d65f03c0",
                DECODE_NO_OPERAND, 0x0},
        {"none: a call with an address, and no negation", "b0000001 91002021 9400003e d65f03c0",
                DECODE_NO_OPERAND, 0x0},
        {"two", "4b0003e0 b0000001 b8200020 91002021 b8200020 d65f03c0", DECODE_MANY_OPERANDS, 0x0},
        {"bytes that are no code", "00000000", DECODE_UNKNOWN, 0x0},
};

/* Appends the words that `text` spells; returns their number. */
static size_t spell(uint32_t *words, const char *text)
{
	size_t count = 0;

	for (char *end; *text != '\0'; text = end + (*end == ' '))
		words[count++] = (uint32_t)strtoul(text, &end, 16);
	return count;
}

/* The function that a text spells; its bytes are the caller's to free. */
static struct decode_code code_of(const char *text, bool has_size)
{
	uint32_t words[WORDS];
	size_t bytes = spell(words, text) * A64_BYTES;
	uint8_t *copy = malloc(bytes + !bytes);

	if (copy == NULL)
		abort();
	memcpy(copy, words, bytes);
	return (struct decode_code){
	        .bytes = copy,
	        .address = FUNCTION,
	        .size = has_size ? bytes : 0,
	        .available = bytes,
	        .text_low = FUNCTION,
	        .text_high = TEXT_END,
	        .image_low = IMAGE,
	        .image_high = IMAGE_END,
	};
}

static void say(const char *what, const uint8_t *bytes, size_t length)
{
	uint32_t word;

	printf("# %s", what);
	for (size_t at = 0; at + A64_BYTES <= length; at += A64_BYTES) {
		memcpy(&word, bytes + at, sizeof word);
		printf(" %08x", word);
	}
	printf("\n");
}

static void test_golden(const struct golden *golden, bool has_size)
{
	struct decode_code code = code_of(golden->before, has_size);
	uint8_t moved[DECODE_MOVED_BYTES];
	struct decode_prologue prologue;
	uint32_t wanted[WORDS];
	size_t length = spell(wanted, golden->after) * A64_BYTES, got = 0;
	enum decode_refusal refusal = decode_prologue(&code, &prologue);

	if (refusal == DECODE_FINE)
		refusal = decode_move(&code, &prologue, TRAMPOLINE, moved, &got);
	if (!tap_ok(refusal == DECODE_FINE && prologue.skip == golden->skip && prologue.moved == A64_BYTES &&
	                    prologue.ends == golden->ends && got == length && memcmp(moved, wanted, got) == 0,
	            "aarch64: %s runs elsewhere as it must%s", golden->name,
	            has_size ? "" : ", of unknown size")) {
		printf("# %s; skip %u ends %d\n", decode_refusal_text(refusal), prologue.skip, prologue.ends);
		say("got   ", moved, got);
		say("wanted", (uint8_t *)wanted, length);
	}
	free((void *)code.bytes);
}

static void test_refused(const struct refused *refused, bool has_size)
{
	struct decode_code code = code_of(refused->before, has_size);
	struct decode_prologue prologue;

	tap_is_text(decode_refusal_text(decode_prologue(&code, &prologue)),
	        decode_refusal_text(refused->refusal), "aarch64: %s is refused%s", refused->name,
	        has_size ? "" : ", of unknown size");
	free((void *)code.bytes);
}

static void test_operand(const struct operand *operand)
{
	struct decode_code code = code_of(operand->before, true);
	uint64_t address = 0;
	enum decode_refusal refusal = decode_operand(&code, &address);

	tap_is_text(decode_refusal_text(refusal), decode_refusal_text(operand->refusal),
	        "aarch64: the operand search judges right: %s", operand->name);
	if (refusal == DECODE_FINE)
		tap_is(address, operand->address, "aarch64: the operand's address is right: %s",
		        operand->name);
	free((void *)code.bytes);
}

/* What the code that replaces a function must begin with. */
static void test_undo(void)
{
	static const struct {
		const char *code, *undo, *promise;
	} cases[] = {
	        {"d503233f a9bb7bfd d65f03c0", "d50323bf d503201f", "paciasp by autiasp"},
	        {"d503237f a9bb7bfd d65f03c0", "d50323ff d503201f", "pacibsp by autibsp"},
	        {"d503245f a9bb7bfd d65f03c0", "", "bti by nothing"},
	        {"a9bb7bfd d65f03c0", "", "no leading instruction by nothing"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct decode_code code = code_of(cases[i].code, true);
		struct decode_prologue prologue;
		uint32_t wanted[WORDS];
		size_t bytes = spell(wanted, cases[i].undo) * A64_BYTES;

		decode_prologue(&code, &prologue);
		tap_ok(prologue.undo_bytes == bytes &&
		                (bytes == 0 || memcmp(prologue.undo, wanted, bytes) == 0),
		        "aarch64: %s is undone", cases[i].promise);
		free((void *)code.bytes);
	}
}

/* Distances from a function to its trampoline, and what they lead to. */
static void test_reach(void)
{
	struct decode_code code = code_of("a9bd7bfd d65f03c0", true);
	const uint64_t far = FUNCTION + 4 * decode_jump_reach;
	uint8_t moved[DECODE_MOVED_BYTES];
	struct decode_prologue prologue;
	uint8_t jump[DECODE_FAR_JUMP_BYTES];
	size_t length;

	tap_is(decode_jump_reach, 128 << 20, "aarch64: a jump reaches 128 MiB");
	tap_ok(decode_put_jump(jump, far, far + decode_jump_reach - 4) &&
	                !memcmp(jump, "\xff\xff\xff\x15", 4),
	        "aarch64: a jump reaches 128 MiB less one instruction upward");
	tap_ok(decode_put_jump(jump, far, far - decode_jump_reach) && !memcmp(jump, "\0\0\0\x16", 4),
	        "aarch64: a jump reaches 128 MiB downward");
	tap_ok(!decode_put_jump(jump, far, far + decode_jump_reach), "aarch64: 128 MiB upward are refused");
	tap_ok(!decode_put_jump(jump, far, far - decode_jump_reach - 4), "aarch64: more downward is refused");
	tap_ok(!decode_put_jump(jump, 0, UINT64_MAX - 3 - decode_jump_reach) &&
	                !decode_put_jump(jump, far, far + 2),
	        "aarch64: so is what lies at the other end of memory, or inside an instruction");
	decode_put_far_jump(jump, 0x1122334455667788);
	tap_ok(!memcmp(jump, "\x50\0\0\x58\0\x02\x1f\xd6\x88\x77\x66\x55\x44\x33\x22\x11", sizeof jump),
	        "aarch64: a far jump is ldr x16, br x16 and the address");
	decode_prologue(&code, &prologue);
	tap_is(decode_move(&code, &prologue, FUNCTION + decode_jump_reach - 8, moved, &length), DECODE_FINE,
	        "aarch64: a trampoline within 128 MiB is fine");
	tap_is(decode_move(&code, &prologue, FUNCTION + decode_jump_reach + 4, moved, &length),
	        DECODE_OUT_OF_RANGE, "aarch64: a trampoline that cannot get back is refused");
	free((void *)code.bytes);
	code = code_of("f00003e2 d65f03c0", true); /* adrp */
	decode_prologue(&code, &prologue);
	code.address += 1ull << 33;
	tap_is(decode_move(&code, &prologue, FUNCTION, moved, &length), DECODE_OUT_OF_RANGE,
	        "aarch64: an address over 4 GiB away is refused");
	free((void *)code.bytes);
}

/* Code where it lies: a part that is rarely executed, and 16 words above it the function that branches to it. */
static const struct {
	const char *promise, *part, *function;
	enum decode_refusal refusal;
} parts[] = {
        {"a jump from elsewhere to what would be overwritten", "94000100 14000010",
                "d503245f a9bf7bfd b4fffdc0 d65f03c0", DECODE_BRANCH_BACK},
        {"a branch from elsewhere to it", "d503201f b5000200", "d503245f a9bf7bfd b4fffdc0 d65f03c0",
                DECODE_BRANCH_BACK},
        {"a jump from elsewhere behind it", "94000100 14000011", "d503245f a9bf7bfd b4fffdc0 d65f03c0",
                DECODE_FINE},
        {"a call from elsewhere", "94000010 d65f03c0", "a9bf7bfd b4fffde0 d65f03c0", DECODE_FINE},
};

static void test_parts(void)
{
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		uint32_t words[WORDS] = {0}, *function = words + 16;
		const uintptr_t low = (uintptr_t)words, high = low + sizeof words;
		struct decode_code code = {(uint8_t *)function, (uintptr_t)function,
		        spell(function, parts[i].function) * A64_BYTES, sizeof words - 16 * A64_BYTES, low,
		        high, low, high};
		struct decode_prologue prologue;

		spell(words, parts[i].part);
		tap_is_text(decode_refusal_text(decode_prologue(&code, &prologue)),
		        decode_refusal_text(parts[i].refusal), "aarch64: %s is judged right",
		        parts[i].promise);
	}
}

/* Functions whose callers may know, or not, all that runs in them: `words` words; what they call lies behind. */
static const struct {
	const char *name, *code;
	size_t words;
	bool leads_away;
} callers[] = {
        {"one that calls nothing", "f9400000 f9000020 d65f03c0", 3, false},
        {"a call of a register's address", "a9bf7bfd d63f0000 a8c17bfd d65f03c0", 4, true},
        {"a jump by x16", "d61f0200", 1, true},
        {"a jump by another register", "f9400001 d61f0020", 2, true},
        {"a jump that a table tells", "10000001 8b208820 d61f0000", 3, false},
        {"a call of what calls nothing", "a9bf7bfd 94000003 a8c17bfd d65f03c0 d65f03c0", 4, false},
        {"a call of a stub for another object",
                "a9bf7bfd 94000003 a8c17bfd d65f03c0 90000010 f9400211 91000210 d61f0220", 4, true},
        {"a jump to such a stub", "d503201f 14000001 90000010 f9400211 91000210 d61f0220", 2, true},
        {"a call at its very end", "b4000040 d65f03c0 94000001 d61f0220", 3, false},
        {"a call of itself", "a9bf7bfd 97ffffff a8c17bfd d65f03c0", 4, false},
        {"one with unknown instructions", "00000000 d65f03c0", 2, true},
};

static void test_leads_away(void)
{
	for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
		uint32_t words[WORDS];
		const uintptr_t low = (uintptr_t)words,
		                high = low + spell(words, callers[i].code) * A64_BYTES;
		const struct decode_code code = {(uint8_t *)words, low, callers[i].words * A64_BYTES,
		        high - low, low, high, low, high};

		tap_is(decode_leads_away(&code), callers[i].leads_away, "aarch64: %s %s", callers[i].name,
		        callers[i].leads_away ? "leads to code that callers do not know"
		                              : "does not lead away");
	}
}

/* Every word at the entry, of two million of them: what is moved means the same, or it is refused. */
static void test_words(void)
{
	unsigned wrong = 0, moved_words = 0;
	uint32_t word = 1;

	for (unsigned i = 0; i < 1 << 21; i++) {
		uint8_t moved[DECODE_MOVED_BYTES];
		struct decode_prologue prologue;
		uint32_t bytes[2], first;
		const struct decode_code code = {(uint8_t *)bytes, FUNCTION, sizeof bytes, sizeof bytes,
		        FUNCTION, TEXT_END, IMAGE, IMAGE_END};
		struct a64 before, after;
		size_t length;

		word = word * 1664525 + 1013904223;
		bytes[0] = word;
		bytes[1] = 0xd65f03c0;
		if (decode_prologue(&code, &prologue) != DECODE_FINE || prologue.skip != 0 ||
		        decode_move(&code, &prologue, TRAMPOLINE, moved, &length) != DECODE_FINE)
			continue;
		moved_words++;
		memcpy(&first, moved, sizeof first);
		before = a64_decode(word, FUNCTION);
		after = a64_decode(first, TRAMPOLINE);
		wrong += length > DECODE_MOVED_BYTES || after.kind != before.kind;
		if (before.kind == A64_PLAIN || before.kind == A64_AWAY)
			wrong += first != word;
		else if (before.kind == A64_JUMP)
			wrong += after.target != before.target;
		else if (before.kind == A64_BRANCH)
			wrong += after.target != TRAMPOLINE + 2 * A64_BYTES;
	}
	tap_is(wrong, 0, "aarch64: of any words, what is moved means the same");
	tap_ok(moved_words > 1 << 18, "aarch64: of which there were %u", moved_words);
}

/* ---- references ---- */

static uint32_t text[1024];

static size_t count(size_t low, size_t high, uintptr_t target, uintptr_t *place)
{
	struct references found = {.target = target, .count = 99};

	references_find((uintptr_t)text + low, (uintptr_t)text + high, &found, 1);
	*place = found.place[0];
	return found.count;
}

static void test_references(void)
{
	static const struct {
		const char *name;
		uint32_t word;
		bool is_one;
	} kinds[] = {
	        {"bl", 0x94000000, true},
	        {"b", 0x14000000, true},
	        {"b.eq", 0x54000000, false},
	        {"cbz", 0xb4000000, false},
	        {"adr", 0x10000000, false},
	        {"a number", 0x00000000, false},
	};
	uintptr_t place;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		unsigned wrong = 0;

		for (size_t at = 0; at < sizeof text / sizeof *text; at += 7) {
			for (size_t to = 0; to < sizeof text / sizeof *text; to += 101) {
				size_t found;

				for (size_t j = 0; j < sizeof text / sizeof *text; j++)
					text[j] = (uint32_t)NOP;
				text[at] = kinds[i].word | ((uint32_t)(to - at) & 0x3ffffff);
				found = count(0, sizeof text, (uintptr_t)(text + to), &place);
				wrong += found != kinds[i].is_one ||
				         (found == 1 && place != (uintptr_t)(text + at));
			}
		}
		tap_is(wrong, 0, "references: %s is %s", kinds[i].name, kinds[i].is_one ? "one" : "none");
	}
	for (size_t j = 0; j < sizeof text / sizeof *text; j++)
		text[j] = 0x94000000 | ((uint32_t)-j & 0x3ffffff);
	tap_is(count(0, sizeof text, (uintptr_t)text, &place), 1024, "references: all are counted");
	tap_is(count(1, sizeof text - 1, (uintptr_t)text, &place), 1022,
	        "references: of an instruction that is cut off, none");
	tap_is(count(8, 8, (uintptr_t)text, &place), 0, "references: in no code there is none");
	tap_is(count(8, 4, (uintptr_t)text, &place), 0, "references: nor in less");
}

int main(void)
{
	for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
		test_golden(&goldens[i], true);
		test_golden(&goldens[i], false);
	}
	for (size_t i = 0; i < sizeof refuseds / sizeof *refuseds; i++)
		test_refused(&refuseds[i], true);
	for (size_t i = 0; i < sizeof operands / sizeof *operands; i++)
		test_operand(&operands[i]);
	test_undo();
	test_reach();
	test_parts();
	test_leads_away();
	test_words();
	test_references();
	return tap_done();
}
