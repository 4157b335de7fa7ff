/* SPDX-License-Identifier: MIT */
/* What a pool of stacks hands out: never one that is in the program's hands, whatever the pool contains. */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/locked.h"
#include "adapter/classes.h"

#include <sys/mman.h>

#include "adapter/request.h"
#include "adapter/sites.h"
#include "pool/pool.h"
#include "pool/fast_path.h"
#include "pool/stats.h"
#include "pool/upkeep.h"
#include "tap.h"

enum { BYTES = 64 << 10 };

static struct arena arena;

static void wake(void)
{
}

static char *get_of(size_t bytes)
{
	struct request request = {bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
	        (const void *)wake, false, false};

	return classes_get(&request);
}

static char *get(void)
{
	return get_of(BYTES);
}

static struct arena_place place_of(const char *stack)
{
	struct arena_place place = {0};

	arena_find(&arena, stack, &place);
	return place;
}

static bool put(const char *stack)
{
	struct arena_place place = place_of(stack);

	if (!slot_move(place.slot, SLOT_LIVE, SLOT_IDLE))
		return false;
	classes_put(&place);
	return true;
}

static uint64_t live(void)
{
	struct pool_stats stats;

	pool_read(pool_at(0), &stats);
	return stats.live;
}

static void test_recycled(void)
{
	char *stack = get();

	tap_ok(stack != NULL && slot_state(place_of(stack).slot) == SLOT_LIVE,
	        "classes: a stack from the arena is the program's");
	tap_ok(put(stack) && get() == stack, "classes: and is handed out again");
	tap_ok(put(stack) && live() == 0, "classes: once for each that was given back");
}

/* As if two threads shared a cache and had damaged it. */
static void test_twice(void)
{
	char *stack = get(), *other;

	stack[BYTES - 1] = 7;
	pool_put(pool_at(0), 0, stack);
	other = get();
	tap_ok(other != NULL && other != stack,
	        "classes: a stack in use that lies in the pool is not handed out");
	tap_ok(slot_state(place_of(stack).slot) == SLOT_LIVE && stack[BYTES - 1] == 7,
	        "classes: and stays whose it is");
	tap_is(live(), 1, "classes: what was put without need is counted as put, and the rest as it is");
	tap_ok(put(stack) && put(other), "classes: each is given back by its owner");
}

/* Another thread of the program is just changing its stack. */
static void test_busy(void)
{
	char *stack = get(), *other;
	struct arena_place place = place_of(stack);

	slot_move(place.slot, SLOT_LIVE, SLOT_TREATED);
	pool_put(pool_at(0), 0, stack);
	other = get();
	tap_ok(other != NULL && other != stack, "classes: nor is one that is being changed");
	arena_end_treatment(&place, SLOT_LIVE);
	tap_is(slot_state(place.slot), SLOT_LIVE, "classes: which is the program's again then");
	tap_ok(put(stack) && put(other), "classes: each is given back by its owner");
}

/* The address of a chunk that was given up, which a pool still has, becomes a slot of another class. */
static void test_given_up(void)
{
	char *stack[8], *other, *again;
	unsigned tries = 0;
	bool are_own = true;

	for (int i = 0; i < 8; i++)
		stack[i] = get();
	for (int i = 0; i < 8; i++)
		put(stack[i]);
	arena_vacate(&arena);
	tap_ok(place_of(stack[0]).class == NULL,
	        "given up: a chunk without stacks in use is no chunk any more");
	other = get_of(2 * BYTES);
	while (other != NULL && place_of(stack[0]).class == NULL && tries++ < 20) {
		put(other);
		arena_vacate(&arena);
		other = get_of(2 * BYTES);
	}
	put(other);
	tap_ok(place_of(stack[0]).slot == place_of(other).slot,
	        "given up: its addresses become those of another class");
	for (int i = 0; i < 8; i++) {
		again = stack[i] = get();
		are_own &= again != NULL && place_of(again).class != place_of(other).class &&
		           place_of(again).offset == 0;
	}
	tap_ok(are_own, "given up: what the pool has of them is not handed out");
	tap_is(slot_state(place_of(other).slot), SLOT_IDLE,
	        "given up: nor is the other class's stack lost by it");
	tap_is(live(), 8, "given up: the count of stacks in use is right");
	for (int i = 0; i < 8; i++)
		put(stack[i]);
}

int main(void)
{
	pools_init(0, wake);
	arena_init(&arena, GUARD_AUTO);
	request_init(0, false);
	sites_init(SITES_NEVER, 0);
	classes_init(&arena, BATCHES_DERIVED);
	test_recycled();
	test_given_up();
	test_twice();
	test_busy();
	return tap_done();
}
