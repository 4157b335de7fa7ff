/* SPDX-License-Identifier: MIT */
/*
 * Code for aarch64, read on any processor: nothing beyond it is read, what is moved means the same, and where an ending is
 * found (adapter/qemu_code.h) there is one. Input: two bytes of options, then the code.
 */
#include "adapter/qemu_code.h"
#include "fuzz.h"
#include "patch/a64.h"
#include "patch/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS = 2, CODE_MOST = 4096, FUNCTION = 0x401000, MOVED = 0x300000, HAS_SIZE = 1 };

static struct {
	unsigned long long given, moved, endings, creates;
} count;

static void check_moved(const struct decode_code *code)
{
	uint8_t moved[DECODE_MOVED_BYTES];
	struct decode_prologue prologue;
	struct a64 before, after;
	uint64_t at;
	size_t bytes;

	if (decode_prologue(code, &prologue) != DECODE_FINE ||
	        decode_move(code, &prologue, MOVED, moved, &bytes) != DECODE_FINE)
		return;
	count.moved++;
	at = prologue.skip;
	fuzz_must(bytes <= DECODE_MOVED_BYTES, "%zu bytes were moved", bytes);
	fuzz_must(at + A64_BYTES <= code->available && memcmp(moved, code->bytes, at) == 0,
	        "another leading instruction");
	const struct decode_code copy = {.bytes = moved, .address = MOVED, .available = bytes};

	fuzz_must(a64_read(code, at, &before) && a64_read(&copy, at, &after), "nothing to read");
	fuzz_must(before.kind == after.kind, "it became another instruction");
	switch (before.kind) {
	case A64_JUMP:
		fuzz_must(after.target == before.target, "it jumps elsewhere");
		break;
	case A64_BRANCH:
		fuzz_must(
		        a64_read(&copy, at + A64_BYTES, &after) && after.target == FUNCTION + at + A64_BYTES,
		        "it does not go on with the next instruction");
		fuzz_must(a64_read(&copy, at + 2 * A64_BYTES, &after) && after.target == before.target,
		        "it branches elsewhere");
		break;
	case A64_ADDRESS:
		break;
	default:
		fuzz_must(before.word == after.word, "the word differs");
	}
	if (!prologue.ends && before.kind != A64_BRANCH)
		fuzz_must(a64_read(&copy, bytes - A64_BYTES, &after) && after.kind == A64_JUMP &&
		                  after.target == FUNCTION + at + A64_BYTES,
		        "it does not come back");
}

/* Where the first call leads, or that after so many others; 0: there is none. */
static uint64_t callee(const struct decode_code *code, unsigned others)
{
	struct a64 in;

	for (size_t at = 0; a64_read(code, at, &in); at += A64_BYTES)
		if (in.kind == A64_CALL && in.target != 0 && others-- == 0)
			return in.target;
	return 0;
}

static void check_qemu(const struct decode_code *code, unsigned others)
{
	size_t limit = code->size != 0 ? code->size : code->available;
	struct qemu_ending ending;
	struct a64 in;

	count.creates += qemu_code_create(code) == NULL;
	if (qemu_code_ending(code, callee(code, others), &ending) != NULL)
		return;
	count.endings++;
	fuzz_must(ending.at + A64_BYTES <= limit && a64_read(code, ending.at, &in) &&
	                  ending.length == A64_BYTES,
	        "an ending is no instruction of the function, at %zu", ending.at);
	fuzz_must(ending.object >= 19 && ending.object <= 28, "an ending's register is x%u", ending.object);
	fuzz_must(in.word == (0xf900081f | ending.object << 5), "an ending is %#x", in.word);
	fuzz_must(ending.next - code->address < limit, "an ending leads out of the function");
}

static void tell_counts(void)
{
	fprintf(stderr, "aarch64: %llu inputs, of which %llu were moved; %llu endings, %llu creates\n",
	        count.given, count.moved, count.endings, count.creates);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	atexit(tell_counts);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint64_t operand;
	uint8_t *copy;

	if (bytes <= OPTIONS || bytes > OPTIONS + CODE_MOST)
		return 0;
	count.given++;
	bytes -= OPTIONS;
	copy = malloc(bytes);
	memcpy(copy, data + OPTIONS, bytes);
	const struct decode_code code = {
	        .bytes = copy,
	        .address = FUNCTION,
	        .size = data[0] & HAS_SIZE ? bytes : 0,
	        .available = bytes,
	        .text_low = FUNCTION,
	        .text_high = FUNCTION + bytes,
	        .image_low = FUNCTION - (1 << 20),
	        .image_high = FUNCTION + (1 << 22),
	};
	check_moved(&code);
	decode_operand(&code, &operand);
	check_qemu(&code, data[1]);
	qemu_code_action((uintptr_t)copy, (uintptr_t)copy + bytes / A64_BYTES * A64_BYTES);
	free(copy);
	return 0;
}
