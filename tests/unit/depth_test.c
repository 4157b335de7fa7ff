/* SPDX-License-Identifier: MIT */
/* How deep stacks were used: exact to the page, remembered over lives and trimming, without guards. */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/depth.h"

#include "stack/arena.h"
#include "stack/orphans.h"
#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = TEST_PAGE, BYTES = 513 * PAGE, PAGES = BYTES / PAGE, MANY = 1000 };

static struct arena arena;

static struct arena_place place_of(const void *address)
{
	struct arena_place place = {0};

	arena_find(&arena, address, &place);
	return place;
}

/* A stack with a guard page, used that many pages deep. */
static char *use(struct arena_class *class, size_t pages)
{
	char *stack = arena_make(class);
	struct arena_place place = place_of(stack);

	arena_guard(&place, PAGE);
	if (pages > 0)
		stack[BYTES - pages * PAGE] = 1; /* the pages above stay untouched, but count */
	return stack;
}

static void deepen(char *stack, size_t pages)
{
	memset(stack + BYTES - pages * PAGE, 1, pages * PAGE);
}

static void leave(char *stack)
{
	struct arena_place place = place_of(stack);

	slot_move(place.slot, SLOT_LIVE, SLOT_IDLE);
	depth_note(&place);
	arena_free(&place);
}

static struct depth_summary summarize(const struct arena_class *class)
{
	struct depth_summary summary = {0};

	depth_summarize(class, &summary);
	return summary;
}

/* Both ways to look make the same promises. */
static void test_looks(struct arena_class *class, int pagemap, const char *way)
{
	struct depth_summary seen;
	char *stack;

	tap_ok(!depth_summarize(class, &seen), "depth, %s: nothing is said before a look", way);
	stack = use(class, 0);
	depth_attend(class, pagemap);
	depth_survey(class, 10);
	tap_is(summarize(class).stacks, 0, "depth, %s: a stack that was never used does not count", way);
	deepen(stack, 1);
	depth_survey(class, 10);
	seen = summarize(class);
	tap_is(seen.deepest, PAGE, "depth, %s: a page is a page", way);
	tap_is(seen.stack_bytes, BYTES - PAGE, "depth, %s: the guard is no part of the stack", way);
	tap_is(seen.live, 1, "depth, %s: a stack in use counts as live", way);
	stack[BYTES - 7 * PAGE] = 1;
	depth_survey(class, 10);
	tap_is(summarize(class).deepest, 7 * PAGE, "depth, %s: the lowest page counts, also below a gap",
	        way);
	deepen(stack, 300);
	errno = 77;
	leave(stack);
	tap_is(errno, 77, "depth, %s: errno survives", way);
	tap_is(summarize(class).deepest, 300 * PAGE, "depth, %s: what is given back is looked at first", way);
	tap_ok(use(class, 2) == stack, "depth, %s: (the slot comes back)", way);
	depth_survey(class, 10);
	seen = summarize(class);
	tap_is(seen.p50, 300 * PAGE, "depth, %s: a slot's mark outlives its memory", way);
	tap_is(seen.stacks, 1, "depth, %s: and it is one stack still", way);
	deepen(stack, PAGES - 1);
	depth_survey(class, 10);
	tap_is(summarize(class).deepest, BYTES - PAGE, "depth, %s: a whole stack is not more than that", way);
	leave(stack);
	depth_leave(class);
}

static void test_guards(struct arena_class *class, int pagemap)
{
	char *stack = arena_make(class);
	struct arena_place place = place_of(stack);

	/* Between the kernel's part of arena_guard and ours, or before either. */
	deepen(stack, 5);
	stack[0] = 1;
	depth_attend(class, pagemap);
	depth_survey(class, 10);
	tap_is(summarize(class).stacks, 0, "depth: a stack in use that has no guard yet is left alone");
	arena_guard(&place, PAGE);
	depth_survey(class, 10);
	tap_is(summarize(class).deepest, 5 * PAGE, "depth: what is in the guard is not taken for use");
	place = place_of(arena_make(class));
	deepen((char *)place.base, 6);
	slot_move(place.slot, SLOT_LIVE, SLOT_IDLE);
	depth_survey(class, 10);
	tap_is(summarize(class).deepest, 6 * PAGE, "depth: an idle one without a guard is looked at");
	depth_leave(class);
}

static void *note_elsewhere(void *place)
{
	depth_note(place);
	return NULL;
}

static void test_watcher(struct arena_class *class, int pagemap)
{
	char *stack = use(class, 4);
	struct arena_place place = place_of(stack);
	pthread_t thread;

	depth_note(&place);
	tap_is(summarize(class).stacks, 0, "depth: without a watcher nobody looks");
	depth_attend(class, pagemap);
	pthread_create(&thread, NULL, note_elsewhere, &place);
	pthread_join(thread, NULL);
	tap_is(summarize(class).stacks, 0, "depth: no other thread than the watcher looks");
	arena_fork_child(&arena);
	depth_note(&place);
	tap_is(summarize(class).stacks, 0, "depth: the child of a fork has no watcher");
	depth_attend(class, pagemap);
	depth_note(&place);
	tap_is(summarize(class).deepest, 4 * PAGE, "depth: the watcher does");
	depth_leave(class);
}

static void test_numbers(struct arena_class *class, int pagemap)
{
	static char *stack[MANY];
	unsigned first = (unsigned)__builtin_ctz(PAGE / 4096);
	struct depth_summary seen;
	uint64_t all = 0;

	for (int i = 0; i < MANY; i++)
		stack[i] = use(class, i < 500 ? 1 : i < 900 ? 2 : i < 990 ? 4 : i < 999 ? 8 : 100);
	depth_attend(class, pagemap);
	depth_survey(class, MANY / 2);
	tap_is(summarize(class).stacks, MANY / 2, "depth: no more looks than were asked for");
	depth_survey(class, MANY / 2);
	tap_is(summarize(class).stacks, MANY, "depth: the next time it is the others' turn");
	seen = summarize(class);
	tap_is(seen.p50, PAGE, "depth: the 50th percentile");
	tap_is(seen.p90, 2 * PAGE, "depth: the 90th");
	tap_is(seen.p99, 4 * PAGE, "depth: the 99th");
	tap_is(seen.p999, 8 * PAGE, "depth: 99.9 %%");
	tap_is(seen.deepest, 100 * PAGE, "depth: the deepest of all");
	tap_is(seen.mean, (500 + 800 + 360 + 72 + 100) * PAGE / MANY, "depth: the mean");
	tap_is(seen.bucket[first], 500, "depth: buckets: up to a page, of 4096");
	tap_is(seen.bucket[first + 3], 9, "depth: from more than 4 to 8, of 16384 to 32768");
	tap_is(seen.bucket[first + 7], 1, "depth: from more than 64 to 128, of 262144 to 524288");
	for (unsigned i = 0; i < DEPTH_BUCKETS; i++)
		all += seen.bucket[i];
	tap_is(all, seen.stacks, "depth: every stack is in one bucket");
	for (int i = 0; i < MANY; i++)
		leave(stack[i]);
	seen = summarize(class);
	tap_is(seen.stacks, MANY, "depth: trimming takes nothing away");
	tap_is(seen.live, 0, "depth: what was given back is not live");
	depth_leave(class);
}

int main(void)
{
	int pagemap = depth_open();

	arena_init(&arena, GUARD_AUTO);
	test_looks(arena_class_start(&arena, 0, BYTES, RW), DEPTH_NO_PAGEMAP, "mincore");
	if (pagemap != DEPTH_NO_PAGEMAP)
		test_looks(arena_class_start(&arena, 1, BYTES, RW), pagemap, "pagemap");
	else
		tap_skip("there is no /proc/self/pagemap", "depth, pagemap");
	test_guards(arena_class_start(&arena, 2, BYTES, RW), pagemap);
	test_watcher(arena_class_start(&arena, 3, BYTES, RW), pagemap);
	test_numbers(arena_class_start(&arena, 4, BYTES, RW), pagemap);
	return tap_done();
}
