/* SPDX-License-Identifier: MIT */
/* Upper guards: one size for a class, present while a slot is open, and ordinary pages after a slot is retired. */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/upper.h"

#include "tap.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = TEST_PAGE, BYTES = 16 * PAGE };

static struct arena arena;

/* Whether a page can be written to, according to the kernel. */
static bool can_write(uintptr_t page)
{
	return madvise((void *)page, PAGE, 23 /* MADV_POPULATE_WRITE */) == 0;
}

static struct arena_place make(struct arena_class *class)
{
	struct arena_place place = {0};
	void *made = arena_make(class);

	if (made != NULL && arena_find(&arena, made, &place))
		arena_seal(&place);
	return place;
}

static void test_open(struct arena_class *class, const char *means)
{
	struct arena_place place = make(class);
	uintptr_t low = place.base, high = low + BYTES - 2 * PAGE;

	tap_is(arena_upper(class), 0, "upper, %s: at first none is known of", means);
	tap_is(arena_open(&place, PAGE, 2 * PAGE), 0, "upper, %s: a slot is opened between two guards",
	        means);
	tap_is(arena_upper(class), 2 * PAGE, "upper, %s: which decides for its class", means);
	tap_ok(!can_write(low) && can_write(low + PAGE) && can_write(high - PAGE) && !can_write(high) &&
	                !can_write(high + PAGE),
	        "upper, %s: what is between them is open, and nothing else", means);
	memset((void *)(low + PAGE), 1, high - low - PAGE);
	arena_seal(&place);
	tap_ok(!arena_open_again(&(struct arena_place){class, place.slot, low, PAGE}, BYTES - 2 * PAGE, RW),
	        "upper, %s: to open it differently is something to do", means);
	tap_ok(arena_open_again(&(struct arena_place){class, place.slot, low, PAGE}, BYTES - 3 * PAGE, RW),
	        "upper, %s: and to open it in the same way is not", means);
	tap_ok(!place.slot->is_sealed && ((char *)low)[PAGE] == 1, "upper, %s: it is as it was left", means);
	arena_seal(&place);
	tap_ok(arena_renew(&place) == 0 && ((char *)low)[PAGE] == 0 && ((char *)high)[-1] == 0 &&
	                !can_write(high),
	        "upper, %s: a renewed one is zero, and has its upper guard", means);
	/* Poison does not survive that. */
	tap_ok(place.slot->guard_bytes == 0 ? arena.means == GUARD_POISON : !can_write(low),
	        "upper, %s: and the lower one", means);
}

static void test_other(struct arena_class *class, const char *means)
{
	struct arena_place place = make(class);

	tap_is(arena_open(&place, PAGE, PAGE), -ENOTSUP, "upper, %s: no slot has another", means);
	tap_is(arena_open(&place, PAGE, 0), -ENOTSUP, "upper, %s: nor none", means);
	tap_ok(place.slot->is_sealed && !can_write(place.base + PAGE), "upper, %s: and is not opened", means);
	tap_is(arena_open(&place, 3 * PAGE, 2 * PAGE), 0, "upper, %s: the lower may differ", means);
	tap_ok(!can_write(place.base + 2 * PAGE) && can_write(place.base + 3 * PAGE),
	        "upper, %s: and is where it was asked for", means);
}

static void test_retired(struct arena_class *class, const char *means)
{
	struct arena_place place = make(class);
	uintptr_t high = place.base + BYTES - 2 * PAGE;

	arena_open(&place, PAGE, 2 * PAGE);
	tap_is(arena_retire(&place), 0, "upper, %s: a slot is retired", means);
	tap_ok(!can_write(high) && can_write(high - PAGE), "upper, %s: its pages are as they were", means);
	tap_ok(mprotect((void *)high, 2 * PAGE, RW) == 0 && can_write(high) && can_write(high + PAGE),
	        "upper, %s: and the program can open its guard", means);
	tap_ok(arena_settle(&place) == 0 && can_write(high),
	        "upper, %s: a thread that comes late with that does nothing to it", means);
	slot_move(place.slot, SLOT_RETIRED, SLOT_LEAVING);
	arena_free(&place);
	tap_ok(slot_state(place.slot) == SLOT_FREE && !can_write(high - PAGE), "upper, %s: it is free",
	        means);
	place = make(class);
	tap_ok(arena_open(&place, PAGE, 2 * PAGE) == 0 && can_write(high - PAGE) && !can_write(high),
	        "upper, %s: and is opened between guards the next time", means);
}

static void test(enum guard_means means, const char *name)
{
	struct arena_class *class;

	memset(&arena, 0, sizeof arena);
	arena_init(&arena, means);
	class = arena_class_start(&arena, 0, BYTES, PROT_NONE);
	test_open(class, name);
	test_other(class, name);
	test_retired(class, name);
}

int main(void)
{
	test(GUARD_AUTO, "auto");
	test(GUARD_POISON, "poison");
	test(GUARD_MPROTECT, "mprotect");
	return tap_done();
}
