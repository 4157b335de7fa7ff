/* SPDX-License-Identifier: MIT */
/* Magazines over ConcurrencyKit's lock-free stack, by its double-width compare-and-swap. */
#include "pools.h"

#if __has_include(<ck_stack.h>)
#include <ck_stack.h>

#define DEPOT_NODE struct ck_stack_entry
#include "magazines.h"

static struct ck_stack stacks[STACKS] CK_CC_ALIGN(64);

static void depot_push(enum depot_stack stack, struct magazine *magazine)
{
	ck_stack_push_mpmc(&stacks[stack], &magazine->node);
}

static struct magazine *depot_pop(enum depot_stack stack)
{
	return (struct magazine *)(void *)ck_stack_pop_mpmc(&stacks[stack]);
}

static bool start(void)
{
	ck_stack_init(&stacks[FULL]);
	ck_stack_init(&stacks[EMPTY]);
	return true;
}

#include "patterns.h"

const struct contender magazines_ck = {
        .name = "magazines, CK",
        .start = start,
        .thread_start = thread_start,
        .thread_stop = thread_stop,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .inlined = patterns_inlined,
        .called = patterns_called,
};
#else
const struct contender magazines_ck = {.name = "magazines, CK", .missing = "libck-dev"};
#endif
