/* SPDX-License-Identifier: MIT */
/* Magazines over liburcu's lock-free stack; its poppers exclude each other, as its manual wants of who reuses
 * nodes without a grace period. */
#include "pools.h"

#if __has_include(<urcu/lfstack.h>)
#include <urcu/lfstack.h>

#define DEPOT_NODE struct cds_lfs_node
#include "magazines.h"

static struct cds_lfs_stack stacks[STACKS];

static void depot_push(enum depot_stack stack, struct magazine *magazine)
{
	cds_lfs_node_init(&magazine->node);
	cds_lfs_push(&stacks[stack], &magazine->node);
}

static struct magazine *depot_pop(enum depot_stack stack)
{
	return (struct magazine *)(void *)cds_lfs_pop_blocking(&stacks[stack]);
}

static bool start(void)
{
	cds_lfs_init(&stacks[FULL]);
	cds_lfs_init(&stacks[EMPTY]);
	return true;
}

#include "patterns.h"

const struct contender magazines_urcu = {
        .name = "magazines, liburcu",
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
const struct contender magazines_urcu = {.name = "magazines, liburcu", .missing = "liburcu-dev"};
#endif
