/* SPDX-License-Identifier: MIT */
/* What a program does to ranges that touch the arena: states, releases, neighbours and races between threads. */
#include "adapter/mappings.h"
#include "adapter/pieces.h"
#include "adapter/placing.h"
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/locked.h"
#include "stack/slot_guard.h"
#include "stack/orphans.h"

#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = TEST_PAGE, BYTES = 16 * PAGE, RACES = 20000 };

static struct arena arena;
static struct arena_class *class;

static _Atomic unsigned released;

/* What the adapter for stacks does, without a pool. */
static void release(const struct arena_place *place)
{
	/* [released] relaxed: a count. */
	atomic_fetch_add_explicit(&released, 1, memory_order_relaxed);
	arena_free(place);
}

static unsigned releases(void)
{
	return atomic_exchange_explicit(&released, 0, memory_order_relaxed);
}

static int state_of(const void *address)
{
	struct arena_place place;

	return arena_find(&arena, address, &place) ? (int)slot_state(place.slot) : -1;
}

static void test_unmap(void)
{
	char *first = arena_make(class), *second = arena_make(class);

	errno = 77;
	tap_is(mappings_unmap(&arena, first, BYTES, release), 0, "mappings: a stack can be unmapped");
	tap_is(releases(), 1, "mappings: which releases it");
	tap_is(state_of(first), SLOT_FREE, "mappings: and it is free");
	tap_is(mappings_unmap(&arena, first, BYTES, release), 0, "mappings: it can be unmapped again");
	tap_is(releases(), 0, "mappings: which releases nothing");
	first = arena_make(class);
	tap_is(mappings_unmap(&arena, first, BYTES + PAGE, release), 0,
	        "mappings: one and a part of another can");
	tap_is(releases(), 1, "mappings: which releases the one");
	tap_is(state_of(second), SLOT_RETIRED, "mappings: and retires the other");
	second[PAGE] = 1;
	tap_is(mappings_unmap(&arena, second, BYTES, release), 0,
	        "mappings: that can be unmapped as a whole");
	tap_is(releases(), 0, "mappings: it is not released");
	tap_is(state_of(second), SLOT_FREE, "mappings: but free");
	tap_is(errno, 77, "mappings: errno survives all that");
	tap_is(mappings_unmap(&arena, second + 1, PAGE, release), -1,
	        "mappings: no odd address can be unmapped");
	tap_is(errno, EINVAL, "mappings: which is invalid");
	tap_is(mappings_unmap(&arena, second, (size_t)1 << 50, release), -1,
	        "mappings: no endless range can be unmapped");
}

static void test_protect(void)
{
	char *made = arena_make(class);

	tap_is(mappings_protect(&arena, made, PAGE, PROT_NONE, -1), 0, "mappings: a low guard can be made");
	tap_is(mappings_protect(&arena, made, BYTES, RW, -1), 0,
	        "mappings: and opened with all of the stack");
	made[0] = 1;
	tap_is(state_of(made), SLOT_LIVE, "mappings: neither retires the stack");
	tap_is(mappings_protect(&arena, made + PAGE, PAGE, PROT_READ, -1), 0,
	        "mappings: any page can be closed");
	tap_is(state_of(made), SLOT_RETIRED, "mappings: which retires the stack");
	tap_is(made[0], 1, "mappings: it keeps its contents");
	mappings_unmap(&arena, made, BYTES, release);
	tap_is(mappings_protect(&arena, made, PAGE, RW, -1), -1,
	        "mappings: what was unmapped cannot be opened");
	tap_is(errno, ENOMEM, "mappings: there is no such memory");
	releases();
}

static void test_protect_by_key(void)
{
	char *made = arena_make(class);

	/* A machine without protection keys returns EINVAL; the stack is retired nevertheless. */
	if (mappings_protect(&arena, made, BYTES, RW, 0) != 0)
		tap_is(errno, EINVAL, "mappings: a key that there is not is invalid");
	tap_is(state_of(made), SLOT_RETIRED, "mappings: a key retires a stack, whatever the protection");
	mappings_unmap(&arena, made, BYTES, release);
	tap_is(releases(), 0, "mappings: which is never handed out as it is");
}

static void test_advise(void)
{
	char *made = arena_make(class);

	made[PAGE] = 1;
	tap_is(mappings_advise(&arena, made, BYTES, MADV_DONTNEED), 0, "mappings: a stack can be dropped");
	tap_is(made[PAGE], 0, "mappings: then it is zero");
	tap_is(state_of(made), SLOT_LIVE, "mappings: and as any other");
	tap_is(mappings_advise(&arena, made, PAGE, MADV_DONTFORK), 0,
	        "mappings: it can be kept from a child");
	tap_is(state_of(made), SLOT_RETIRED, "mappings: which retires it");
	mappings_unmap(&arena, made, BYTES, release);
}

static void test_over(void)
{
	char *live = arena_make(class), *idle = arena_make(class);
	struct arena_place place;

	arena_find(&arena, idle, &place);
	slot_move(place.slot, SLOT_LIVE, SLOT_IDLE);
	placing_make_way(&arena, live, BYTES, MAP_FIXED);
	placing_make_way(&arena, idle, PAGE, MAP_FIXED);
	tap_is(state_of(live), SLOT_RETIRED, "mappings: a stack that is mapped over is retired");
	tap_is(state_of(idle), SLOT_LOST, "mappings: an idle one is lost");
	mmap(idle, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	*idle = 1;
	mappings_unmap(&arena, idle, PAGE, release);
	tap_is(releases(), 0, "mappings: what was mapped over it is the program's");
	mappings_unmap(&arena, live, BYTES, release);
}

/* What a program may map where its stack was. */
static void test_in_place(void)
{
	int want = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, flags;
	char *made = arena_make(class);

	tap_is(placing_make_way(&arena, made, BYTES, want), want,
	        "mappings: where a stack is nothing else can be mapped in place");
	tap_is(state_of(made), SLOT_LIVE, "mappings: and it stays what it is");
	mappings_unmap(&arena, made, BYTES, release);
	for (int i = 0; i < 3; i++) {
		flags = placing_make_way(&arena, made, BYTES, want);
		tap_ok(mmap(made, BYTES, RW, flags, -1, 0) == made, "mappings: where one was it can");
		tap_is(state_of(made), SLOT_LOST, "mappings: which takes the slot for good");
		tap_is(placing_make_way(&arena, made, PAGE, want), want,
		        "mappings: in the place of that nothing can");
		made[0] = 1;
		mappings_unmap(&arena, made, BYTES, release);
		tap_is(state_of(made), SLOT_GONE, "mappings: until that was unmapped as well");
	}
	tap_ok(arena_make(class) != made, "mappings: and the slot is not handed out");
	releases();
}

static void test_move(void)
{
	char *made = arena_make(class), *moved;

	made[BYTES - 1] = 1;
	moved = mappings_move(&arena, made, BYTES, 2 * BYTES, MREMAP_MAYMOVE, NULL);
	tap_ok(moved != MAP_FAILED && !arena_touches(&arena, moved, 2 * BYTES) && moved[BYTES - 1] == 1,
	        "mappings: a stack can be moved out of the arena");
	tap_ok(mmap(made, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
	                MAP_FAILED,
	        "mappings: it leaves no hole");
	munmap(moved, 2 * BYTES);
	made = arena_make(class);
	tap_ok(mappings_move(&arena, made, BYTES, 2 * BYTES, 0, NULL) == MAP_FAILED && errno == ENOMEM,
	        "mappings: a stack cannot grow into the next");
	tap_ok(mappings_move(&arena, made, 2 * BYTES, BYTES, MREMAP_MAYMOVE, NULL) == MAP_FAILED &&
	                errno == EFAULT,
	        "mappings: two stacks are not one mapping");
	tap_ok(mappings_move(&arena, made, BYTES, PAGE, 0, NULL) == made, "mappings: it can shrink");
	mappings_unmap(&arena, made, BYTES, release);
	releases();
}

/* ---- slots that a thread has abandoned ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A stack in such a state. */
static char *abandoned(enum slot_state state)
{
	char *made = arena_make(class);
	struct arena_place place;

	made[PAGE] = 1;
	arena_find(&arena, made, &place);
	arena_guard(&place, PAGE);
	slot_move(place.slot, SLOT_LIVE, state);
	return made;
}

static void test_abandoned(void)
{
	static const enum slot_state ours[] = {SLOT_BUSY, SLOT_STRAY, SLOT_LEAVING};
	uint64_t start = now_ms();
	char *made = abandoned(SLOT_TREATED), *again;
	struct arena_place place;

	tap_is(mappings_protect(&arena, made, 2 * PAGE, RW, -1), 0,
	        "mappings: a stack that a thread left half treated can be protected");
	made[0] = 1;
	tap_is(made[PAGE], 1, "mappings: it has what it had");
	tap_is(mappings_unmap(&arena, made, BYTES, release), 0, "mappings: and can be unmapped");
	tap_is(state_of(made), SLOT_GONE, "mappings: it is never handed out again");
	made = abandoned(SLOT_TREATED);
	arena_find(&arena, made, &place);
	tap_is(mappings_unmap(&arena, made, BYTES, release), 0, "mappings: it can be unmapped at once");
	arena_end_treatment(&place, SLOT_LIVE);
	tap_is(state_of(made), SLOT_GONE, "mappings: a thread that comes back to it leaves it alone");
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		made = abandoned(ours[i]);
		arena_find(&arena, made, &place);
		tap_is(mappings_unmap(&arena, made, BYTES, release), 0,
		        "mappings: what was not the program's in state %d is unmapped already", ours[i]);
		tap_is(state_of(made), ours[i], "mappings: nobody waits for it");
		tap_is(placing_make_way(&arena, made, BYTES, MAP_FIXED), MAP_FIXED,
		        "mappings: but something can be mapped there");
		again = mmap(made, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		again[0] = 7;
		if (ours[i] == SLOT_LEAVING)
			arena_free(&place);
		else
			arena_let_go(&place, SLOT_FREE);
		tap_ok(state_of(made) == SLOT_LOST && again[0] == 7,
		        "mappings: which a thread that comes back leaves alone");
		mappings_unmap(&arena, made, BYTES, release);
	}
	tap_is(releases(), 0, "mappings: none of them came to a pool");
	tap_ok(now_ms() - start < 1500, "mappings: all that does not take long");
}

/* ---- fork ---- */

static int in_child(char *const *made)
{
	uint64_t start = now_ms();
	bool is_well;

	arena_fork_child(&arena);
	is_well = state_of(made[0]) == SLOT_RETIRED && state_of(made[1]) == SLOT_GONE &&
	          state_of(made[2]) == SLOT_GONE && state_of(made[3]) == SLOT_GONE;
	is_well &= mappings_protect(&arena, made[0], BYTES, RW, -1) == 0;
	made[0][0] = 1; /* dies if a guard is left */
	for (int i = 0; i < 4; i++)
		is_well &= mappings_unmap(&arena, made[i], BYTES, release) == 0;
	for (int i = 0; i < 200; i++) {
		char *other = arena_make(class);

		for (int j = 0; j < 4; j++)
			is_well &= other != NULL && other != made[j];
	}
	return is_well && now_ms() - start < 100 ? 0 : 1;
}

static void test_fork(void)
{
	char *made[] = {abandoned(SLOT_TREATED), abandoned(SLOT_BUSY), abandoned(SLOT_STRAY),
	        abandoned(SLOT_LEAVING)};
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(in_child(made));
	waitpid(child, &status, 0);
	tap_is(status, 0, "mappings: what threads were treating is decided in a fork's child");
	tap_is(state_of(made[0]), SLOT_TREATED, "mappings: and in its parent it is theirs");
}

/* ---- threads that unmap the same stack ---- */

static struct {
	_Atomic(char *) stack;
	_Atomic unsigned arrived;
} race;

/* Both threads start at the same moment, as far as possible. */
static void meet(unsigned number)
{
	atomic_fetch_add(&race.arrived, 1);
	for (unsigned spins = 0; atomic_load(&race.arrived) < 2 * number; spins++) {
		if (spins > 10000)
			sched_yield(); /* there may be only one processor */
	}
}

static void *unmap_too(void *unused)
{
	for (int i = 0; i < RACES; i++) {
		meet(2 * i + 1);
		mappings_unmap(&arena, atomic_load(&race.stack), BYTES, release);
		meet(2 * i + 2);
	}
	return unused;
}

static void test_race(void)
{
	pthread_t thread;

	releases();
	pthread_create(&thread, NULL, unmap_too, NULL);
	for (int i = 0; i < RACES; i++) {
		atomic_store(&race.stack, arena_make(class));
		meet(2 * i + 1);
		mappings_unmap(&arena, atomic_load(&race.stack), BYTES, release);
		meet(2 * i + 2);
	}
	pthread_join(thread, NULL);
	tap_is(releases(), RACES, "mappings: a stack that two threads unmap at once is released once");
}

/* A range may be all addresses: what lies between chunks is one piece. */
static void test_gaps(void)
{
	uintptr_t all = (uintptr_t)1 << ARENA_ADDRESS_BITS, low = arena.low, high = arena.high;
	struct piece below = piece_at(&arena, PAGE, all), above = piece_at(&arena, high, all);
	char *made = arena_make(class);

	tap_ok(!below.is_slot && below.low + below.bytes == low, "gaps: all below the arena is one piece");
	tap_ok(!above.is_slot && above.low + above.bytes == all, "gaps: all above it is another");
	tap_ok(arena_holds(&arena, (void *)(low - PAGE), 2 * PAGE) &&
	                !arena_holds(&arena, (void *)PAGE, low - PAGE) &&
	                arena_holds(&arena, (void *)PAGE, low) &&
	                !arena_holds(&arena, (void *)high, all - high),
	        "gaps: neither holds a byte of the arena");
	tap_is(mappings_advise(&arena, (void *)PAGE, (uintptr_t)made, MADV_COLD), -1,
	        "gaps: what goes from the first address to a stack cannot be advised");
	tap_is(errno, ENOMEM, "gaps: since not all of it is mapped");
	tap_is(state_of(made), SLOT_LIVE, "gaps: the stack is as before");
}

/* What lies where slots were given up is nobody's but the kernel's and the program's. */
static void test_vacant(void)
{
	char *live = arena_make(class), *first = arena_make(class), *second = arena_make(class);
	char *mapped, *moved;

	mappings_unmap(&arena, first, BYTES, release);
	mappings_unmap(&arena, second, BYTES, release);
	releases();
	arena_vacate(&arena);
	tap_ok(second == first + BYTES && state_of(first) == SLOT_VACANT && state_of(live) == SLOT_LIVE,
	        "vacant: two slots beside one in use are given up");
	errno = 0;
	tap_ok(mappings_protect(&arena, first, PAGE, RW, -1) == -1 && errno == ENOMEM,
	        "vacant: nothing is there");
	/* As malloc or the loader map: no hook sees it. */
	mapped = mmap(first, 2 * BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	mapped[2 * BYTES - 1] = 1;
	tap_ok(mapped == first && mappings_protect(&arena, first, PAGE, PROT_READ, -1) == 0 &&
	                mappings_protect(&arena, first, PAGE, RW, -1) == 0,
	        "vacant: what is mapped there can be protected");
	tap_is(mappings_advise(&arena, first, 2 * BYTES, MADV_NORMAL), 0, "vacant: and advised");
	errno = 0;
	tap_ok(placing_map(&arena, second, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
	               0) == MAP_FAILED &&
	                errno == EEXIST && mapped[2 * BYTES - 1] == 1,
	        "vacant: it is not replaced without need");
	moved = mappings_move(&arena, mapped, 2 * BYTES, 4 * BYTES, MREMAP_MAYMOVE, NULL);
	tap_ok(moved != MAP_FAILED && moved[2 * BYTES - 1] == 1, "vacant: it can grow, with what is in it");
	if (moved == MAP_FAILED)
		return;
	mappings_unmap(&arena, moved, 4 * BYTES, release);
	tap_ok(placing_map(&arena, first, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	                        first &&
	                mappings_unmap(&arena, first, BYTES, release) == 0,
	        "vacant: something else can be mapped there, and unmapped");
	errno = 0;
	tap_ok(mappings_protect(&arena, first, PAGE, RW, -1) == -1 && errno == ENOMEM && releases() == 0,
	        "vacant: then nothing is there again, and nothing was a stack");
	mappings_unmap(&arena, live, BYTES, release);
	releases();
}

int main(void)
{
	arena_init(&arena, GUARD_AUTO);
	class = arena_class_start(&arena, 3, BYTES, RW);
	test_unmap();
	test_protect();
	test_protect_by_key();
	test_advise();
	test_over();
	test_in_place();
	test_move();
	test_abandoned();
	test_fork();
	test_race();
	test_gaps();
	test_vacant();
	return tap_done();
}
