/* SPDX-License-Identifier: MIT */
/* The table of call stacks: each is in it once and counted, its size is bounded, and what a fork changes. */
#include "report/origins/callers.h"

#include "tap.h"

static struct callers callers;

static struct call_stack stack_of(unsigned pool, uintptr_t first, unsigned frames)
{
	struct call_stack stack = {.pool = pool, .frames = frames};

	for (unsigned i = 0; i < frames; i++)
		stack.frame[i] = first + i;
	return stack;
}

static void test_same(void)
{
	struct call_stack a = stack_of(1, 0x1000, 5), other_pool = a, longer = a, cut = a;
	unsigned number = callers_find(&callers, &a);

	other_pool.pool = 2;
	longer.frame[longer.frames++] = 0x77;
	cut.is_cut = true;
	tap_ok(number >= POOL_MAX, "callers: a stack has a number beyond those of what is not known");
	tap_is(callers_find(&callers, &a), number, "callers: the same stack has the same number");
	tap_ok(callers_find(&callers, &other_pool) != number, "callers: another pool's is another stack");
	tap_ok(callers_find(&callers, &longer) != number, "callers: a longer one is another stack");
	tap_ok(callers_find(&callers, &cut) != number,
	        "callers: one of which more is not known is another stack");
	tap_is(callers_used(&callers), POOL_MAX + 4, "callers: each is there once");
	tap_is(callers.stack[number].frame[4], 0x1004, "callers: its frames are what they were");
}

static void test_unknown(void)
{
	struct call_stack none = stack_of(7, 0, 0);

	tap_is(callers_find(&callers, &none), 7, "callers: without frames the number is the pool's");
	tap_is(callers.stack[7].pool, 7, "callers: that number is of that pool");
}

static void test_counts(void)
{
	struct call_stack a = stack_of(1, 0x1000, 5);
	unsigned number = callers_find(&callers, &a);

	callers_count(&callers, number, 10);
	callers_count(&callers, number, 10);
	callers_count(&callers, 3, 1);
	tap_is(callers_misses(&callers, number), 20, "callers: counts add up");
	tap_is(callers_misses(&callers, 3), 1, "callers: what is not known is counted as well");
	callers_fork_child(&callers);
	tap_is(callers_misses(&callers, number), 0, "callers: a fork's child counts from 0");
	tap_is(callers_find(&callers, &a), number, "callers: in a fork's child numbers are what they were");
}

static void test_bound(void)
{
	unsigned number = 0, wrong = 0;

	for (unsigned i = 0; i < 2 * CALLERS_STACKS; i++) {
		struct call_stack stack = stack_of(5, 0x100000 + 0x1000 * i, 3 + i % 20);

		number = callers_find(&callers, &stack);
		wrong += callers_find(&callers, &stack) != number;
	}
	tap_is(wrong, 0, "callers: each of many stacks is found again");
	tap_is(callers_used(&callers), CALLERS_NUMBERS, "callers: it never holds more than it was made for");
	tap_is(number, 5, "callers: for what has no room the number is the pool's");
	tap_ok(callers_lost(&callers) > 0, "callers: it says how often it had no room");
}

int main(void)
{
	callers_init(&callers);
	test_same();
	test_unknown();
	test_counts();
	test_bound();
	return tap_done();
}
