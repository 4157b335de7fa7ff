/* SPDX-License-Identifier: MIT */
/*
 * x86-64:  call rel32 -> stub: [endbr64] [bnd] jmp *word	or	call *word
 * aarch64: bl -> stub: [bti c] adrp x16, page of the word; ldr x17, [x16, …]; …
 *
 * Instructions of x86-64 begin at any byte, so every byte is tried. Other bytes that look like a call would have to
 * contain exactly the distance to the word.
 */
#include "patch/imports.h"

#include "patch/a64.h"
#include "patch/elf_read.h"

#include <stddef.h>
#include <string.h>

enum { WORDS_MOST = 4 }; /* for one name; usually there are one or two */

#ifdef __aarch64__
enum { JUMP_SLOT = R_AARCH64_JUMP_SLOT, GLOBAL_DATA = R_AARCH64_GLOB_DAT, STEP = 4 };
#else
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOBAL_DATA = R_X86_64_GLOB_DAT, STEP = 1 };
#endif

/* The words of a name; link-time addresses. */
struct words {
	uint64_t at[WORDS_MOST];
	size_t count;
};

static bool is_named(
        const struct elf_image *image, const struct elf_dynamic *tables, uint32_t index, const char *name)
{
	const uint8_t *from =
	        elf_at(image, tables->symbols + (uint64_t)index * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
	size_t bytes = strlen(name) + 1;
	const uint8_t *found;
	Elf64_Sym symbol;

	if (from == NULL)
		return false;
	memcpy(&symbol, from, sizeof symbol);
	if (symbol.st_name >= tables->strings_bytes || tables->strings_bytes - symbol.st_name < bytes)
		return false;
	found = elf_at(image, tables->strings + symbol.st_name, bytes);
	return found != NULL && memcmp(found, name, bytes) == 0;
}

static void find_words(const struct elf_image *image, const struct elf_dynamic *tables, const char *name,
        struct words *words)
{
	words->count = 0;
	for (size_t t = 0; t < 2; t++) {
		uint64_t bytes = tables->relocations[t].bytes;
		const uint8_t *from = tables->relocations[t].at != 0
		                              ? elf_at(image, tables->relocations[t].at, bytes)
		                              : NULL;
		Elf64_Rela relocation;

		for (uint64_t at = 0; from != NULL && at + sizeof relocation <= bytes;
		        at += sizeof relocation) {
			uint32_t type;

			memcpy(&relocation, from + at, sizeof relocation);
			type = ELF64_R_TYPE(relocation.r_info);
			if ((type == JUMP_SLOT || type == GLOBAL_DATA) && words->count < WORDS_MOST &&
			        is_named(image, tables, ELF64_R_SYM(relocation.r_info), name))
				words->at[words->count++] = relocation.r_offset;
		}
	}
}

bool imports_has(const struct elf_image *image, const char *name)
{
	struct elf_dynamic tables;
	struct words words = {.count = 0};

	if (elf_read_dynamic(image, &tables))
		find_words(image, &tables, name, &words);
	return words.count > 0;
}

#ifdef __aarch64__

enum {
	BTI_C = 0xd503245f,    /* in code that is only to be entered where it says so */
	PAGE_X16 = 0x90000010, /* adrp x16, … */
	PAGE_MASK = 0x9f00001f,
	LOAD_X17 = 0xf9400211, /* ldr x17, [x16, …] */
	LOAD_MASK = 0xffc003ff,
	STUB_WORDS = 3,
};

/* The word that a stub at a link-time address jumps through; 0: it is no stub. */
static uint64_t word_of_stub(const struct elf_image *image, uint64_t at)
{
	const uint8_t *from = elf_at(image, at, STUB_WORDS * sizeof(uint32_t));
	uint32_t stub[STUB_WORDS], *code = stub;

	if (from == NULL)
		return 0;
	memcpy(stub, from, sizeof stub);
	if (*code == BTI_C) {
		at += sizeof *code;
		code++;
	}
	if ((code[0] & PAGE_MASK) != PAGE_X16 || (code[1] & LOAD_MASK) != LOAD_X17)
		return 0;
	return a64_decode(code[0], at).target + (code[1] >> 10 & 0xfff) * sizeof(uint64_t);
}

/* The word that a call at `from` goes through, whose link-time address is `at`; 0: it is no such call. */
static uint64_t word_of_call(const struct elf_image *image, const uint8_t *from, uint64_t at, uint64_t left)
{
	uint32_t code;
	struct a64 in;

	if (left < sizeof code)
		return 0;
	memcpy(&code, from, sizeof code);
	in = a64_decode(code, at);
	return in.kind == A64_CALL && in.target != 0 ? word_of_stub(image, in.target) : 0;
}

#else

enum {
	CALL = 0xe8,
	INDIRECT = 0xff,
	INDIRECT_CALL = 0x15,
	INDIRECT_JUMP = 0x25,
	BOUND = 0xf2,
	DISTANCE_BYTES = sizeof(int32_t),
	STUB_BYTES = 11, /* of the longest stub that is read */
};

static const uint8_t ENDBR64[4] = {0xf3, 0x0f, 0x1e, 0xfa};

/* The target of the distance at `from`, whose link-time address is `at`. */
static uint64_t follow(const uint8_t *from, uint64_t at)
{
	int32_t distance;

	memcpy(&distance, from, sizeof distance);
	return at + DISTANCE_BYTES + (uint64_t)(int64_t)distance;
}

/* The word that a stub at a link-time address jumps through; 0: it is no stub. */
static uint64_t word_of_stub(const struct elf_image *image, uint64_t at)
{
	const uint8_t *stub = elf_at(image, at, STUB_BYTES);
	size_t used = 0;

	if (stub == NULL)
		return 0;
	if (memcmp(stub, ENDBR64, sizeof ENDBR64) == 0)
		used += sizeof ENDBR64;
	used += stub[used] == BOUND;
	if (stub[used] != INDIRECT || stub[used + 1] != INDIRECT_JUMP)
		return 0;
	return follow(stub + used + 2, at + used + 2);
}

/* The word that a call at `from` goes through, whose link-time address is `at`; 0: it is no such call. */
static uint64_t word_of_call(const struct elf_image *image, const uint8_t *from, uint64_t at, uint64_t left)
{
	if (left >= 1 + DISTANCE_BYTES && from[0] == CALL)
		return word_of_stub(image, follow(from + 1, at + 1));
	if (left >= 2 + DISTANCE_BYTES && from[0] == INDIRECT && from[1] == INDIRECT_CALL)
		return follow(from + 2, at + 2);
	return 0;
}

#endif

bool imports_are_called(
        const struct elf_image *image, const struct extent *code, const char *name, uintptr_t *target)
{
	uint64_t low = code->low - image->bias, bytes = code->high - code->low;
	const uint8_t *from = elf_at(image, low, bytes), *word;
	struct elf_dynamic tables;
	struct words words;

	if (from == NULL || !elf_read_dynamic(image, &tables))
		return false;
	find_words(image, &tables, name, &words);
	for (uint64_t i = 0; i < bytes && words.count > 0; i += STEP) {
		uint64_t through = word_of_call(image, from + i, low + i, bytes - i);

		for (size_t w = 0; through != 0 && w < words.count; w++) {
			word = elf_at(image, through, sizeof *target);
			if (words.at[w] != through || word == NULL)
				continue;
			if (target != NULL)
				memcpy(target, word, sizeof *target);
			return true;
		}
	}
	return false;
}
