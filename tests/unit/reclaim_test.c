/* SPDX-License-Identifier: MIT */
/* Page tables of free slots. */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/reclaim.h"

#include "status.h"
#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	RW = PROT_READ | PROT_WRITE,
	PAGE = 4096,
	SPAN = 2 << 20,
	BYTES = SPAN + PAGE, /* as PHP's: each page table serves two slots */
	MANY = 200,
	THREADS = 4,
};

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static struct arena arena;
static struct arena_class *odd, *even, *busy;

static struct arena_place place_of(const void *address)
{
	struct arena_place place = {0};

	arena_find(&arena, address, &place);
	return place;
}

static char *make(struct arena_class *class)
{
	char *made = arena_make(class);
	struct arena_place place;

	if (made == NULL)
		return NULL;
	place = place_of(made);
	arena_guard(&place, PAGE);
	made[class->bytes - 1] = 1;
	return made;
}

static void give_back(char *made)
{
	struct arena_place place = place_of(made);

	if (slot_move(place.slot, SLOT_LIVE, SLOT_IDLE)) {
		arena_free(&place);
		arena_reclaim(&place);
	}
}

/* Whether the kernel drops the page table of memory that is given back (Linux 6.14). */
static bool has_reclaim(void)
{
	char *range = mmap(NULL, 65 * (size_t)SPAN, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *low = (char *)(((uintptr_t)range + SPAN - 1) & ~(uintptr_t)(SPAN - 1));
	long before;

	madvise(range, 65 * (size_t)SPAN, MADV_NOHUGEPAGE);
	for (int i = 0; i < 64; i++)
		low[i * (size_t)SPAN] = 1;
	before = status_kib("VmPTE");
	madvise(low, 64 * (size_t)SPAN, MADV_DONTNEED);
	before -= status_kib("VmPTE");
	munmap(range, 65 * (size_t)SPAN);
	return before >= 128;
}

static void test_tables(struct arena_class *class, const char *what)
{
	static char *made[MANY];
	long before = status_kib("VmPTE"), after;

	for (int i = 0; i < MANY; i++)
		made[i] = make(class);
	after = status_kib("VmPTE");
	tap_ok(after - before >= MANY * 4, "reclaim: %d slots of %s take as many page tables", MANY, what);
	for (int i = 0; i < MANY; i += 2)
		give_back(made[i]);
	for (int i = 1; i < MANY; i += 2)
		give_back(made[i]);
	after = status_kib("VmPTE");
	if (!tap_ok(after - before <= MANY * 4 / 10, "reclaim: freed, slots of %s give them back", what))
		printf("# before %ld KiB, after %ld KiB\n", before, after);
}

static void test_neighbours(void)
{
	char *made[3], *again;
	struct arena_place place;

	for (int i = 0; i < 3; i++) {
		made[i] = make(odd);
		memset(made[i] + PAGE, 1 + i, odd->bytes - PAGE);
	}
	errno = 77;
	give_back(made[0]);
	give_back(made[2]);
	tap_is(errno, 77, "reclaim: errno survives");
	tap_ok(made[1][PAGE] == 2 && made[1][odd->bytes - 1] == 2,
	        "reclaim: a slot in use between two free ones keeps what is in it");
	place = place_of(made[1]);
	tap_is(place.slot->guard_bytes, PAGE, "reclaim: and its guard");
	give_back(made[1]);
	again = arena_make(odd);
	place = place_of(again);
	tap_is(again[odd->bytes - 1], 0, "reclaim: a slot that was reclaimed comes again, zero");
	tap_is(arena_guard(&place, PAGE), 0, "reclaim: and takes a guard");
	give_back(again);
}

/* What arena_make finds while another thread cleans the first free slot. */
static void test_stray(void)
{
	char *first = make(odd), *second = make(odd), *got;
	struct arena_place place = place_of(first);

	give_back(second);
	give_back(first);
	slot_move(place.slot, SLOT_FREE, SLOT_BUSY);
	got = arena_make(odd);
	tap_ok(got == second, "reclaim: a caller that finds a slot being cleaned gets the next");
	tap_is(slot_state(place.slot), SLOT_STRAY, "reclaim: and leaves it to the thread that cleans it");
	arena_let_go(&place, SLOT_FREE);
	tap_ok(arena_make(odd) == first, "reclaim: which puts it back");
	give_back(first);
	give_back(second);
}

/* ---- many threads ---- */

static _Atomic int wrong;

static void *make_and_free(void *argument)
{
	enum { HELD = 3, ROUNDS = 1500 };
	char me = (char)(uintptr_t)argument, *held[HELD] = {0};

	for (unsigned i = 0; i < ROUNDS; i++) {
		char **at = &held[(i * 5 + me) % HELD];

		if (*at != NULL) {
			/* [wrong] relaxed: read after the threads have ended. */
			if ((*at)[PAGE] != me || (*at)[BYTES / 2] != me || (*at)[BYTES - 1] != me)
				atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
			give_back(*at);
		}
		*at = arena_make(busy);
		if (*at == NULL)
			continue; /* another thread adds a chunk */
		if ((*at)[PAGE] != 0 || (*at)[BYTES - 1] != 0)
			atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
		(*at)[PAGE] = (*at)[BYTES / 2] = (*at)[BYTES - 1] = me;
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (held[i] != NULL)
			give_back(held[i]);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[THREADS];
	unsigned used;

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, make_and_free, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	tap_is(atomic_load_explicit(&wrong, memory_order_relaxed), 0,
	        "reclaim: of many threads none loses what is in its slots");
	used = atomic_load_explicit(&busy->chunk[0].used, memory_order_relaxed);
	for (unsigned i = 0; i < used && i < busy->chunk[0].slots; i++)
		wrong += slot_state(&busy->chunk[0].slot[i]) != SLOT_FREE;
	tap_is(wrong, 0, "reclaim: and none of the slots is lost");
}

int main(void)
{
	arena_init(&arena, GUARD_AUTO);
	odd = arena_class_start(&arena, 0, BYTES, RW);
	even = arena_class_start(&arena, 1, SPAN, RW);
	busy = arena_class_start(&arena, 2, BYTES, RW);
	test_neighbours();
	test_stray();
	if (!IS_SANITIZED && sysconf(_SC_PAGESIZE) == PAGE && has_reclaim()) {
		test_tables(even, "2 MiB");
		test_tables(odd, "2 MiB and a page");
	} else if (!IS_SANITIZED) { /* shadow memory has page tables of its own */
		tap_skip("this kernel keeps page tables", "reclaim: page tables come back");
	}
	test_threads();
	return tap_done();
}
