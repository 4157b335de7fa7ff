/* SPDX-License-Identifier: MIT */
/* The arena of a program that locks its memory. */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/locked.h"

#include "status.h"
#include "tap.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = TEST_PAGE, SPAN = 2 << 20, BYTES = SPAN + PAGE };

static struct arena arena;
static struct arena_class *class;

static struct arena_place place_of(const void *address)
{
	struct arena_place place = {0};

	arena_find(&arena, address, &place);
	return place;
}

/* Whether all pages of a range are in memory, according to the kernel. */
static long count_resident(char *low, size_t bytes)
{
	static unsigned char page[BYTES / PAGE];
	long count = 0;

	mincore(low, bytes, page);
	for (size_t i = 0; i < bytes / PAGE; i++)
		count += page[i] & 1;
	return count;
}

static bool is_opened(char *address)
{
	return madvise(address, PAGE, MADV_POPULATE_WRITE) == 0;
}

static void test_shrink(void)
{
	static struct arena other;
	struct arena_class *other_class;
	struct arena_place place;
	char *made, *tail, *mapped;
	long before = status_kib("VmSize"), after;
	uint32_t slots;

	arena_init(&other, GUARD_AUTO);
	other_class = arena_class_start(&other, 0, BYTES, RW);
	made = arena_make(other_class);
	made[0] = 1;
	tail = made + BYTES;
	slots = other_class->chunk[0].slots;
	tap_ok(arena_touches(&other, tail, 1), "shrink: what follows a slot is the arena's");
	errno = 77;
	arena_shrink(&other);
	tap_is(errno, 77, "shrink: errno survives");
	after = status_kib("VmSize");
	tap_ok(after - before < 4 * (SPAN >> 10), "shrink: what was only reserved is given back");
	tap_is(made[0], 1, "shrink: a slot in use stays");
	tap_ok(arena_find(&other, tail - 1, &place) && !arena_find(&other, tail, &place) &&
	                !arena_touches(&other, tail, PAGE) && arena_touches(&other, tail - 1, PAGE),
	        "shrink: the arena ends behind it");
	mapped = mmap(tail, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	tap_ok(mapped == tail, "shrink: others may map there");
	mapped[0] = 3;
	arena_shrink(&other);
	tap_is(mapped[0], 3, "shrink: a second time takes nothing from them");
	/* A slow thread that has read the number of slots before asks for a number now. */
	tap_ok(other_class->chunk[0].used >= slots, "shrink: and hands nothing of theirs out");
	made = arena_make(other_class);
	tap_ok(made != NULL && made != tail && arena_find(&other, made, &place),
	        "shrink: the next slot is in a new chunk");
	tap_is(mapped[0], 3, "shrink: and not where others are");
	munmap(mapped, PAGE);
}

/* A slot in each state, guarded and written to. */
static void test_start_over(void)
{
	char *live = arena_make(class), *idle = arena_make(class), *unused = arena_make(class), *again;
	struct arena_place place;

	for (int i = 0; i < 3; i++) {
		char *made = i == 0 ? live : i == 1 ? idle : unused;

		place = place_of(made);
		arena_guard(&place, PAGE);
		memset(made + PAGE, 1 + i, BYTES - PAGE);
	}
	slot_move(place.slot, SLOT_LIVE, SLOT_LEAVING);
	slot_move(place.slot, SLOT_LEAVING, SLOT_BUSY);
	arena_free(&place);
	place = place_of(idle);
	slot_move(place.slot, SLOT_LIVE, SLOT_IDLE);

	errno = 77;
	arena_start_over(&arena);
	tap_is(errno, 77, "start over: errno survives");
	tap_is(slot_state(place_of(live).slot), SLOT_RETIRED, "start over: a slot in use is retired");
	tap_is(live[BYTES - 1], 1, "start over: and keeps what is in it");
	tap_ok(!is_opened(live) && is_opened(live + PAGE), "start over: and its guard");
	tap_is(slot_state(place.slot), SLOT_IDLE, "start over: an idle one stays idle");
	tap_ok(count_resident(idle, BYTES) == 0 && !is_opened(idle + PAGE),
	        "start over: but takes no memory, and would not if all were locked");
	tap_is(slot_state(place_of(unused).slot), SLOT_FREE, "start over: a free one stays free");
	tap_ok(!is_opened(unused + PAGE), "start over: and would take none either");
	tap_is(atomic_load(&class->guards), 0, "start over: no guard is left that takes no memory map");

	slot_move(place.slot, SLOT_IDLE, SLOT_LIVE);
	tap_ok(arena_ready(&place) && is_opened(idle) && idle[BYTES - 1] == 0,
	        "start over: the idle one can be made ready for use, zero");
	again = arena_make(class);
	tap_ok(again == unused && is_opened(again) && again[BYTES - 1] == 0,
	        "start over: the free one comes again, zero");
}

/* What the program does not use is not there any more. */
static void test_vacate(void)
{
	static struct arena other;
	struct arena_class *other_class;
	struct arena_place live, idle, unused;
	long before = status_kib("VmSize");
	char *again;

	arena_init(&other, GUARD_AUTO);
	other_class = arena_class_start(&other, 0, BYTES, RW);
	arena_find(&other, arena_make(other_class), &live);
	arena_find(&other, arena_make(other_class), &idle);
	arena_find(&other, arena_make(other_class), &unused);
	memset((void *)live.base, 1, BYTES);
	arena_guard(&idle, PAGE);
	slot_move(idle.slot, SLOT_LIVE, SLOT_IDLE);
	slot_move(unused.slot, SLOT_LIVE, SLOT_BUSY);
	arena_free(&unused);
	errno = 77;
	tap_ok(!arena_exceeds(&other, other.reserved * 8) && arena_exceeds(&other, other.reserved * 8 - 1),
	        "vacate: the arena takes an eighth of a limit, and no more");
	arena_vacate(&other);
	tap_is(errno, 77, "vacate: errno survives");
	tap_ok(status_kib("VmSize") - before < 2 * BYTES >> 10,
	        "vacate: only what is in use takes addresses");
	tap_is(slot_state(live.slot), SLOT_LIVE, "vacate: a slot in use stays");
	tap_is(((char *)live.base)[BYTES - 1], 1, "vacate: with what is in it");
	tap_ok(slot_state(idle.slot) == SLOT_VACANT && slot_state(unused.slot) == SLOT_VACANT,
	        "vacate: an idle one and a free one are not ours any more");
	again = mmap((void *)idle.base, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	tap_ok(again == (char *)idle.base, "vacate: others may map there");
	again[0] = 3;
	arena_discard(&idle); /* a pool that still has it */
	arena_vacate(&other);
	tap_is(again[0], 3, "vacate: which a pool that still has it leaves alone, and a second time too");
	again = arena_make(other_class);
	tap_ok(again != NULL && again != (char *)idle.base && again != (char *)unused.base && again[0] == 0,
	        "vacate: the next slot is in a new chunk");
}

/* A pool gives a slot back while another thread is just closing it. */
static void test_stray(void)
{
	char *idle = arena_make(class);
	struct arena_place place = place_of(idle);

	slot_move(place.slot, SLOT_LIVE, SLOT_IDLE);
	slot_move(place.slot, SLOT_IDLE, SLOT_BUSY);
	arena_discard(&place);
	tap_is(slot_state(place.slot), SLOT_STRAY, "start over: what a pool gives back at that time is left");
	arena_let_go(&place, SLOT_IDLE);
	tap_is(slot_state(place.slot), SLOT_FREE, "start over: and freed when it is let go");
	tap_ok(arena_make(class) == idle, "start over: once");
	tap_ok(arena_make(class) != idle, "start over: and only once");
}

int main(void)
{
	arena_init(&arena, GUARD_AUTO);
	class = arena_class_start(&arena, 0, BYTES, RW);
	test_shrink();
	test_start_over();
	test_vacate();
	test_stray();
	return tap_done();
}
