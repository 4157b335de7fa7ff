/* SPDX-License-Identifier: MIT */
/* The arena: slots, growth, edges, memory that is given back, and many threads at the same time. */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/arena.h"
#include "stack/orphans.h"

#include "tap.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	RW = PROT_READ | PROT_WRITE,
	PAGE = TEST_PAGE,
	BYTES = 2 << 20,
	SMALL = PAGE == 4096 ? 20 << 10
	                     : 3 * PAGE, /* does not divide a grain; one grain is enough for the first */
	GRAIN = 1 << ARENA_GRAIN_SHIFT,
	MANY = 200,
	THREADS = 4,
};

static struct arena arena;
static struct arena_class *large, *small;

static struct arena_place place_of(const void *address)
{
	struct arena_place place = {0};

	arena_find(&arena, address, &place);
	return place;
}

static void give_back(void *made)
{
	struct arena_place place = place_of(made);

	if (slot_move(place.slot, SLOT_LIVE, SLOT_IDLE))
		arena_free(&place);
}

static bool is_zero(const char *low, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (low[i] != 0)
			return false;
	}
	return true;
}

/* How many pages have memory. */
static int resident(void *low, size_t bytes)
{
	static unsigned char pages[BYTES / PAGE];
	int count = 0;

	if (mincore(low, bytes, pages) != 0)
		return -1;
	for (size_t i = 0; i < bytes / PAGE; i++)
		count += pages[i] & 1;
	return count;
}

static void test_find(void)
{
	struct arena_place place;
	char *made;

	tap_ok(!arena_find(&arena, (void *)GRAIN, &place), "arena: an empty one has nothing");
	errno = 77;
	made = arena_make(small);
	tap_is(errno, 77, "arena: errno survives the first slot");
	tap_ok(arena_find(&arena, made, &place) && place.offset == 0 && place.base == (uintptr_t)made,
	        "arena: a slot's first byte is found");
	tap_ok(arena_find(&arena, made + SMALL - 1, &place) && place.offset == SMALL - 1 &&
	                place.base == (uintptr_t)made,
	        "arena: so is its last");
	tap_ok(arena_find(&arena, made + SMALL, &place) && place.base == (uintptr_t)made + SMALL &&
	                slot_state(place.slot) == SLOT_FREE,
	        "arena: the byte behind it is another's, which is free");
	tap_ok((uintptr_t)made % GRAIN == 0 && !arena_find(&arena, made - 1, &place),
	        "arena: the byte in front of a chunk is not ours");
	tap_ok(!arena_find(&arena, made + GRAIN / SMALL * SMALL, &place),
	        "arena: what is left over at a chunk's end is in no slot");
	tap_ok(arena_touches(&arena, made + GRAIN / SMALL * SMALL - 1, 1) &&
	                !arena_touches(&arena, made + GRAIN / SMALL * SMALL, 1),
	        "arena: and not ours");
	tap_ok(mmap(made + GRAIN / SMALL * SMALL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
	               -1, 0) != MAP_FAILED &&
	                munmap(made + GRAIN / SMALL * SMALL, PAGE) == 0,
	        "arena: others may be mapped there");
	tap_ok(arena_touches(&arena, made - PAGE, PAGE + 1) && !arena_touches(&arena, made - PAGE, PAGE),
	        "arena: a range touches it from its first byte on");
	tap_ok(!arena_find(&arena, (void *)(UINTPTR_MAX - 1), &place) &&
	                !arena_touches(&arena, (void *)(UINTPTR_MAX - PAGE), 2 * PAGE),
	        "arena: no address is too high to be asked for");
	tap_ok(arena_touches(&arena, NULL, (size_t)1 << 63), "arena: no range is too long to be asked for");
	give_back(made);
}

static void test_growth(void)
{
	static char *made[MANY];
	bool is_distinct = true;

	for (int i = 0; i < MANY; i++) {
		made[i] = arena_make(large);
		memset(made[i], 1 + i, PAGE);
		made[i][BYTES - 1] = 1;
	}
	for (int i = 0; i < MANY; i++)
		is_distinct &= made[i][0] == (char)(1 + i) && place_of(made[i]).base == (uintptr_t)made[i] &&
		               place_of(made[i]).class == large;
	tap_ok(is_distinct, "arena: slots of several chunks do not overlap, and are found");
	/* [class.chunks] relaxed: nobody else is here. */
	tap_is(atomic_load_explicit(&large->chunks, memory_order_relaxed), 4,
	        "arena: 200 slots of 2 MiB take chunks of 16, 32, 64 and 128 slots");
	for (int i = 0; i < MANY; i++)
		give_back(made[i]);
	for (int i = 0; i < MANY; i++)
		made[i] = arena_make(large);
	tap_is(atomic_load_explicit(&large->chunks, memory_order_relaxed), 4,
	        "arena: freed slots are used before it grows");
	for (int i = 0; i < MANY; i++)
		give_back(made[i]);
}

static void test_memory(void)
{
	char *made = arena_make(large);
	struct arena_place place = place_of(made);

	memset(made, 1, BYTES);
	tap_is(resident(made, BYTES), BYTES / PAGE, "arena: a slot's memory comes as it is touched");
	arena_renew(&place);
	arena_guard(&place, PAGE);
	memset(made + PAGE, 1, BYTES - PAGE);
	errno = 77;
	give_back(made);
	tap_is(resident(made, BYTES), 0, "arena: a free slot has no memory");
	tap_is(errno, 77, "arena: errno survives that");
	tap_ok(arena_make(large) == made, "arena: a slot that was freed last is used first");
	tap_is(arena_unguard(&place), 0, "arena: its guard can be taken away");
	tap_ok(is_zero(made, BYTES), "arena: then all of it is zero");
	memset(made, 1, BYTES);
	tap_ok(arena_renew(&place) == 0 && is_zero(made, BYTES), "arena: renewed, it is all zero again");
	give_back(made);
}

static void test_guard(void)
{
	char *made = arena_make(large);
	struct arena_place place = place_of(made);
	uint64_t guards = atomic_load(&large->guards);
	bool is_saving = arena.means != GUARD_MPROTECT;

	made[0] = 1;
	tap_is(arena_guard(&place, PAGE), 0, "arena: pages that hold something can become a guard");
	tap_is(place.slot->guard_means, GUARD_MPROTECT, "arena: by mprotect");
	arena_unguard(&place);
	tap_is(made[0], 1, "arena: which keeps what they hold");
	made[0] = 0;
	tap_is(arena_guard(&place, 2 * PAGE), 0, "arena: empty ones do");
	tap_is(place.slot->guard_bytes, 2 * PAGE, "arena: which it remembers");
	tap_is(atomic_load(&large->guards), guards + is_saving, "arena: and counts, if it takes no map");
	tap_is(arena_guard(&place, PAGE), 0, "arena: a part of a guard can be asked for");
	tap_is(place.slot->guard_bytes, 2 * PAGE, "arena: which changes nothing");
	place.slot->is_guard_old = true;
	tap_is(arena_guard(&place, PAGE), 0, "arena: a guard of the last use can be made smaller");
	made[PAGE] = 1;
	tap_is(place.slot->guard_bytes, PAGE, "arena: then the rest can be used");
	tap_ok(arena_retire(&place) == 0 && slot_state(place.slot) == SLOT_RETIRED,
	        "arena: a slot can be retired");
	tap_is(atomic_load(&large->guards), guards, "arena: its guard is the mapping's own then");
	tap_is(mprotect(made, PAGE, RW), 0, "arena: so that mprotect opens it");
	made[0] = 1;
	slot_move(place.slot, SLOT_RETIRED, SLOT_LEAVING);
	arena_free(&place);
	made = arena_make(large);
	tap_ok(made == (char *)place.base && is_zero(made, BYTES),
	        "arena: a slot that leaves comes back new");
	give_back(made);
}

/* A mapping of the system's would be placed in the hole, if there were one. */
static void test_holes(void)
{
	static void *other[64];
	char *made = arena_make(large);
	struct arena_place place = place_of(made);
	bool is_inside = false;
	char *hole = made + BYTES / 2;

	arena_retire(&place);
	tap_is(arena_blank(&place, (uintptr_t)hole, BYTES / 4), 0, "arena: a part of a slot can be blanked");
	for (int i = 0; i < 64; i++) {
		int flags = MAP_PRIVATE | MAP_ANONYMOUS;

		/* Half of them ask for an address. */
		other[i] = mmap(i % 2 ? hole : NULL, BYTES / 4, RW, flags, -1, 0);
		is_inside |= arena_touches(&arena, other[i], BYTES / 4);
	}
	tap_ok(!is_inside, "arena: no other mapping gets into it");
	for (int i = 0; i < 64; i++)
		munmap(other[i], BYTES / 4);
	slot_move(place.slot, SLOT_RETIRED, SLOT_LEAVING);
	arena_free(&place);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) /* which take far more than the limit */
static void test_limit(void)
{
	static struct arena narrow;
	struct arena_class *class;
	int status = 0, made = 0;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit limit = {(rlim_t)4 << 30, (rlim_t)4 << 30};

		if (setrlimit(RLIMIT_AS, &limit) != 0)
			_exit(100);
		arena_init(&narrow, GUARD_AUTO);
		class = arena_class_start(&narrow, 0, BYTES, RW);
		while (made < 4096 && arena_make(class) != NULL)
			made++;
		_exit(made * (BYTES >> 20) <= 512 && made * (BYTES >> 20) > 256 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	tap_is(status, 0, "arena: of a limit on address space it takes an eighth");
}

/* Where advice to drop memory returns 0 and does nothing. */
static void test_liar(void)
{
	struct sock_filter filter[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
	static struct arena lied;
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct arena_place place;
		char *made;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
			_exit(100);
		arena_init(&lied, GUARD_AUTO);
		made = arena_make(arena_class_start(&lied, 0, BYTES, RW));
		memset(made, 1, BYTES);
		arena_find(&lied, made, &place);
		if (arena_renew(&place) != 0 || !is_zero(made, BYTES))
			_exit(1);
		memset(made, 1, BYTES);
		if (!slot_move(place.slot, SLOT_LIVE, SLOT_IDLE))
			_exit(2);
		arena_free(&place);
		_exit(arena_make(place.class) == made && is_zero(made, BYTES) ? 0 : 3);
	}
	waitpid(child, &status, 0);
	tap_is(status, 0, "arena: slots come zeroed also where advice to drop memory does nothing");
}

static void test_locked(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		char *made;
		struct arena_place place;

		if (syscall(SYS_mlockall, MCL_CURRENT | MCL_FUTURE) != 0)
			_exit(100);
		made = arena_make(small);
		place = place_of(made);
		memset(made + PAGE, 1, SMALL - PAGE);
		if (arena_guard(&place, PAGE) != 0 || !slot_move(place.slot, SLOT_LIVE, SLOT_IDLE))
			_exit(1);
		arena_free(&place);
		if (arena_make(small) != made)
			_exit(2);
		arena_unguard(&place);
		_exit(is_zero(made, SMALL) ? 0 : 3);
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
		tap_skip("no memory may be locked here", "arena: locked slots work");
	else
		tap_is(status, 0, "arena: locked slots are guarded, dropped and made again");
}
#else
static void test_limit(void)
{
}

static void test_locked(void)
{
}

static void test_liar(void)
{
}
#endif

/* ---- many threads ---- */

static _Atomic int wrong;

static void *make_and_free(void *argument)
{
	enum { HELD = 24, ROUNDS = 400 };
	uintptr_t me = (uintptr_t)argument;
	uint64_t *held[HELD] = {0};

	for (unsigned i = 0; i < HELD * ROUNDS; i++) {
		unsigned at = (i * 7 + me) % HELD;

		if (held[at] != NULL) {
			/* [wrong] relaxed: read after the threads have ended. */
			if (*held[at] != (me << 32 | at))
				atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
			give_back(held[at]);
		}
		held[at] = arena_make(small);
		if (held[at] == NULL)
			continue; /* another thread adds a chunk */
		if (*held[at] != 0)
			atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
		*held[at] = me << 32 | at;
	}
	for (unsigned at = 0; at < HELD; at++) {
		if (held[at] != NULL)
			give_back(held[at]);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, make_and_free, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	tap_is(atomic_load_explicit(&wrong, memory_order_relaxed), 0,
	        "arena: of many threads each has its slots to itself, and they come zeroed");
}

static void test_fork(void)
{
	char *made = arena_make(small);
	int status = 0;
	pid_t child;

	memset(made, 1, SMALL);
	/* Another thread was adding a chunk at that moment. */
	atomic_flag_test_and_set(&small->is_growing);
	child = fork();
	if (child == 0) {
		bool is_well;

		arena_fork_child(&arena);
		is_well = made[0] == 1;
		give_back(made);
		for (int i = 0; i < 2 * GRAIN / SMALL && is_well; i++)
			is_well = arena_make(small) != NULL;
		_exit(is_well ? 0 : 1);
	}
	waitpid(child, &status, 0);
	atomic_flag_clear(&small->is_growing);
	tap_is(status, 0, "arena: a fork's child makes slots and adds chunks");
	tap_is(made[0], 1, "arena: and its parent's stay what they were");
	give_back(made);
}

/* In an arena of its own. */
static void test_no_huge(void)
{
	static struct arena other;

	arena_init(&other, GUARD_MPROTECT);
	tap_is(arena_no_huge(&other), ARENA_ASK,
	        "arena: what is said to advice against huge pages is not known first");
	arena_note_no_huge(&other, EINVAL);
	arena_note_no_huge(&other, EINVAL);
	tap_is(arena_no_huge(&other), EINVAL, "arena: then it is what the kernel has said each time");
	arena_note_no_huge(&other, 0);
	tap_is(arena_no_huge(&other), ARENA_ASK, "arena: and where that was not the same, it is to be asked");
	arena_note_no_huge(&other, 0);
	tap_is(arena_no_huge(&other), ARENA_ASK, "arena: for good");
	arena_init(&other, GUARD_MPROTECT);
	arena_note_no_huge(&other, EPERM);
	tap_is(arena_no_huge(&other), ARENA_ASK, "arena: as where it was refused, as in a sandbox");
}

int main(void)
{
	arena_init(&arena, GUARD_AUTO);
	test_no_huge();
	small = arena_class_start(&arena, 0, SMALL, RW);
	large = arena_class_start(&arena, POOL_MAX - 1, BYTES, RW);
	test_find();
	test_growth();
	test_memory();
	test_guard();
	test_holes();
	test_limit();
	test_locked();
	test_liar();
	test_threads();
	test_fork();
	return tap_done();
}
