/* SPDX-License-Identifier: MIT */
/*
 * What proves that the slots of a class are coroutine stacks, what ends that, and what is cleared before one is
 * handed out.
 */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/roots.h"

#include "tap.h"

#include <sys/mman.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = TEST_PAGE, BYTES = 16 * PAGE, DEPTH = 320 };

static const uintptr_t CODE = 0x10000; /* of 100 bytes */

static struct arena arena;
static struct arena_class *class;

static struct roots fresh(void)
{
	return (struct roots){.low = CODE, .high = CODE + 100};
}

static struct arena_place make(void)
{
	struct arena_place place = {0};

	arena_find(&arena, arena_make(class), &place);
	return place;
}

static uintptr_t *word_at(const struct arena_place *place, size_t depth)
{
	return (uintptr_t *)(place->base + BYTES - depth);
}

/* That many lives of a stack that is zeroed each time, with `root` so far below its top. */
static void live(
        struct roots *roots, const struct arena_place *place, int times, size_t depth, uintptr_t root)
{
	for (int i = 0; i < times; i++) {
		memset((void *)(place->base + PAGE), 0, BYTES - PAGE);
		*word_at(place, depth) = root;
		roots_note_return(roots, place);
	}
}

static void test_proofs(void)
{
	struct arena_place place = make();
	struct roots roots = fresh(), none = {0};

	live(&roots, &place, ROOTS_PROOFS - 1, DEPTH, CODE + 8);
	tap_ok(!roots_are_proven(&roots), "roots: after 1023 lives nothing is proven");
	live(&roots, &place, 1, DEPTH, CODE + 99);
	tap_ok(roots_are_proven(&roots), "roots: after 1024 it is");
	live(&roots, &place, 10, DEPTH, CODE + 8);
	tap_ok(roots_are_proven(&roots), "roots: and stays so");
	live(&roots, &place, 1, DEPTH, 0);
	tap_ok(!roots_are_proven(&roots), "roots: until one has none");
	live(&roots, &place, 2 * ROOTS_PROOFS, DEPTH, CODE + 8);
	tap_ok(!roots_are_proven(&roots), "roots: which is for good");
	live(&none, &place, 2 * ROOTS_PROOFS, DEPTH, CODE + 8);
	tap_ok(!roots_are_proven(&none), "roots: where no code is known to have them nothing is ever proven");
}

/* The result of `live` if one of its lives, the tenth, is different. */
static bool is_ended_by(size_t depth, uintptr_t root, size_t guard_bytes)
{
	struct arena_place place = make();
	struct roots roots = fresh();

	live(&roots, &place, 9, DEPTH, CODE + 8);
	place.slot->guard_bytes = (uint32_t)guard_bytes;
	live(&roots, &place, 1, depth, root);
	place.slot->guard_bytes = 0;
	live(&roots, &place, ROOTS_PROOFS, DEPTH, CODE + 8);
	return !roots_are_proven(&roots);
}

static void test_exceptions(void)
{
	struct arena_place place = make();
	struct roots roots = fresh();

	tap_ok(!is_ended_by(DEPTH, CODE + 8, PAGE), "roots: a guard is no exception");
	tap_ok(is_ended_by(DEPTH, 0, PAGE), "roots: a life without a root is one");
	tap_ok(is_ended_by(DEPTH + 8, CODE + 8, PAGE), "roots: so is one with it deeper than the others");
	tap_ok(is_ended_by(DEPTH - 8, CODE + 8, PAGE), "roots: or higher");
	tap_ok(is_ended_by(DEPTH, CODE, PAGE), "roots: an address where the code begins is no root");
	tap_ok(is_ended_by(DEPTH, CODE + 100, PAGE), "roots: nor is one where it has ended");
	tap_ok(is_ended_by(DEPTH, CODE + 8, BYTES - ROOTS_TOP_BYTES + 1),
	        "roots: one that is a guard almost to its end is not looked at, and an exception");
	live(&roots, &place, 1, ROOTS_TOP_BYTES + 8, CODE + 8);
	live(&roots, &place, 2 * ROOTS_PROOFS, DEPTH, CODE + 8);
	tap_ok(!roots_are_proven(&roots), "roots: a first life whose root is too deep ends it");
	roots = fresh();
	live(&roots, &place, ROOTS_PROOFS, ROOTS_TOP_BYTES, CODE + 8);
	tap_ok(roots_are_proven(&roots), "roots: the deepest that may be is found");
	roots_end(&roots);
	live(&roots, &place, ROOTS_PROOFS, ROOTS_TOP_BYTES, CODE + 8);
	tap_ok(!roots_are_proven(&roots), "roots: what is told of a slot that does not come back ends it");
}

/* One that the program has not opened cannot be read. */
static void test_closed(void)
{
	struct arena_place place = make();
	struct roots roots = fresh();

	live(&roots, &place, 9, DEPTH, CODE + 8);
	mprotect((void *)place.base, BYTES, PROT_NONE);
	place.slot->is_open = false;
	roots_note_return(&roots, &place);
	mprotect((void *)place.base, BYTES, RW);
	place.slot->is_open = true;
	live(&roots, &place, ROOTS_PROOFS, DEPTH, CODE + 8);
	tap_ok(!roots_are_proven(&roots), "roots: one that is closed is not looked at, and an exception");
}

static void test_cleared(void)
{
	struct arena_place place = make();
	struct roots roots = fresh();
	const unsigned char *stack = (const unsigned char *)place.base;
	size_t set = 0, left = 0;

	live(&roots, &place, ROOTS_PROOFS, DEPTH, CODE + 8);
	memset((void *)place.base, 0xaa, BYTES);
	roots_clear(&roots, &place);
	for (size_t i = BYTES - DEPTH; i < BYTES; i++)
		set += stack[i] != 0;
	for (size_t i = 0; i < BYTES - DEPTH; i++)
		left += stack[i] == 0xaa;
	tap_is(set, 0, "roots: what is above a stack's root is zero when it is handed out, and the root");
	tap_is(left, BYTES - DEPTH, "roots: what is below stays as it was left");
	roots_note_return(&roots, &place);
	tap_ok(!roots_are_proven(&roots), "roots: so the last life's root does not prove the next one");
}

int main(void)
{
	arena_init(&arena, GUARD_AUTO);
	class = arena_class_start(&arena, 5, BYTES, RW);
	test_proofs();
	test_exceptions();
	test_closed();
	test_cleared();
	return tap_done();
}
