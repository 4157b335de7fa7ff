/* SPDX-License-Identifier: MIT */
/* Which function an address lies in, and which functions of others it calls by name. */
#include "patch/imports.h"

#include "adapter/program.h"
#include "tap.h"

#include <dlfcn.h>
#include <unistd.h>

enum { ROOM = 4096, TABLE = 512, ENTRIES = TABLE + 12, DESCRIPTION = 1024, CODE = 2048, LENGTH = 64 };

/* ---- code of this program ---- */

#ifndef __clang__ /* which has it as an option for a whole file, -fno-plt */
__attribute__((noplt)) gid_t getegid(void);
#endif

__attribute__((noinline)) static int calls_getppid(void)
{
	return getppid() + 1;
}

#ifdef __x86_64__
__attribute__((noinline)) static int calls_getegid(void)
{
	return (int)getegid() + 1;
}
#endif

__attribute__((noinline)) static int calls_another(void)
{
	return calls_getppid() + 1;
}

static struct elf_image own;

static bool calls(int (*function)(void), const char *name, uintptr_t *target)
{
	struct extent code = {0};

	return extent_find(&own, (uintptr_t)function + 1, &code) && code.low == (uintptr_t)function &&
	       imports_are_called(&own, &code, name, target);
}

static void test_calls(void)
{
	uintptr_t target = 0;

	calls_another(); /* now the name is bound */
	tap_ok(calls(calls_getppid, "getppid", &target), "imports: a call by way of a stub is found");
	tap_ok(target == (uintptr_t)dlsym(RTLD_DEFAULT, "getppid"), "imports: and where it goes");
#ifdef __x86_64__
	calls_getegid();
	target = 0;
	tap_ok(calls(calls_getegid, "getegid", &target), "imports: so is a call without a stub");
	tap_ok(target == (uintptr_t)dlsym(RTLD_DEFAULT, "getegid"), "imports: and where it goes");
#endif
	tap_ok(!calls(calls_getppid, "getegid", &target), "imports: what only another function calls is not");
	tap_ok(!calls(calls_another, "getppid", &target), "imports: nor what is called by what it calls");
	tap_ok(!calls(calls_getppid, "getpp", &target), "imports: nor the beginning of a name");
	tap_ok(!calls(calls_getppid, "no_such_name", NULL), "imports: nor what has no such name");
#ifdef __x86_64__
	tap_ok(imports_has(&own, "getegid"), "imports: the program has that name");
#endif
	tap_ok(imports_has(&own, "getppid"), "imports: the program has the name of a call by way of a stub");
	tap_ok(!imports_has(&own, "no_such_name") && !imports_has(&own, "calls_getppid"),
	        "imports: and none that it does not call, or that is its own");
}

static void test_extents(void)
{
	struct extent one = {0}, other = {0};

	tap_ok(extent_find(&own, (uintptr_t)calls_getppid, &one) &&
	                extent_find(&own, (uintptr_t)calls_another, &other),
	        "extent: functions of this program are found");
	tap_ok(one.low == (uintptr_t)calls_getppid && other.low == (uintptr_t)calls_another,
	        "extent: each begins where it does");
	tap_ok(one.high <= other.low || other.high <= one.low, "extent: they do not overlap");
	tap_ok(extent_find(&own, one.high - 1, &other) && other.low == one.low,
	        "extent: the last byte is part of it");
	tap_ok(!extent_find(&own, one.high, &other) || other.low == one.high,
	        "extent: the one behind it is not");
	tap_ok(!extent_find(&own, (uintptr_t)&own, &other), "extent: data lies in no function");
}

/* ---- tables made by hand ---- */

static _Alignas(16) uint8_t room[ROOM];

static void put(size_t offset, int32_t word)
{
	memcpy(room + offset, &word, sizeof word);
}

/* A table with one function, from CODE on, in an image that is `room`. */
static void make(void)
{
	static const uint8_t form[4] = {1, 0x1b, 0x03, 0x3b};

	memset(room, 0, sizeof room);
	memcpy(room + TABLE, form, sizeof form);
	put(TABLE + 8, 1);
	put(ENTRIES, CODE - TABLE);
	put(ENTRIES + 4, DESCRIPTION - TABLE);
	put(DESCRIPTION + 8, CODE - (DESCRIPTION + 8));
	put(DESCRIPTION + 12, LENGTH);
}

static bool find(size_t at)
{
	const Elf64_Phdr headers[] = {
	        {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_memsz = ROOM, .p_filesz = ROOM},
	        {.p_type = PT_GNU_EH_FRAME, .p_vaddr = TABLE},
	};
	struct elf_image image = {.headers = headers, .count = 2, .bias = (uintptr_t)room};
	struct extent found;

	return extent_find(&image, (uintptr_t)room + at, &found) && found.low == (uintptr_t)room + CODE &&
	       found.high == (uintptr_t)room + CODE + LENGTH;
}

static const struct {
	const char *what;
	size_t offset;
	int32_t word;
} damages[] = {
        {"of another version", TABLE, 0x3b031b02},
        {"whose entries are written in another way", TABLE, 0x1b031b01},
        {"that has more entries than there is room for", TABLE + 8, ROOM},
        {"of 2^32-1 entries", TABLE + 8, -1},
        {"without an entry", TABLE + 8, 0},
        {"whose description lies behind the end", ENTRIES + 4, ROOM},
        {"whose description lies before the beginning", ENTRIES + 4, -ROOM},
        {"whose description is of another function", DESCRIPTION + 8, 0},
        {"whose function goes on behind the end", DESCRIPTION + 12, ROOM},
        {"whose function has no length", DESCRIPTION + 12, 0},
};

static void test_damage(void)
{
	make();
	tap_ok(find(CODE) && find(CODE + LENGTH - 1), "extent: a table made by hand is read");
	tap_ok(!find(CODE - 1) && !find(CODE + LENGTH), "extent: what is beside the function is in none");
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		make();
		put(damages[i].offset, damages[i].word);
		tap_ok(!find(CODE), "extent: a table %s says nothing", damages[i].what);
	}
}

int main(void)
{
	tap_ok(program_find_image((const void *)main, &own), "imports: this program is an image");
	test_calls();
	test_extents();
	test_damage();
	return tap_done();
}
