/* SPDX-License-Identifier: MIT */
/*
 * The code of pool/entry.h, run from a page of its own: it does what pool_get and pool_put do, in the cache,
 * at its ends, without a cache, and in a signal handler that interrupts it at each of its instructions. What is
 * in the middle of a function is called with all registers set, and returns where the function would go on.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "adapter/qemu_code.h"
#include "objects.h"
#include "pool/entry.h"
#include "pool/tally.h"
#include "pool/fast_path.h"
#include "pool/stats.h"
#include "pool/upkeep.h"
#include "registers.h"
#include "tap.h"

enum { TRAP_FLAG = 0x100, HELD = 100, PAGE = 4096 };

enum { JUMP = 0xe9, JUMP_BYTES = 5 }; /* jmp rel32 */

/* Where in the page each code lies; those for the middle of a function are one a register. */
enum { GET_AT = 0, PUT_AT = 256, ARMED_AT = 512, EXITS_AT = 768, INSIDE_AT = 1024, INSIDE_STEP = 256 };

enum { DI = 7, KEPT = 6 };

static const unsigned kept[KEPT] = {3, 5, 12, 13, 14, 15}; /* the registers that calls keep */

static struct pool pool, other, small;
static void *(*get)(void);
static void (*put)(void *object);
static uint8_t *page;
static const uint8_t *code_low, *code_high;

static void wake(void)
{
}

/* Code runs only where nothing writes any more. */
static void set_page(int protection)
{
	mprotect(page, PAGE, protection);
}

static void *get_slowly(struct cache *cache, int64_t top)
{
	void *object = pool_take_slow(&pool, cache, top);

	return object != NULL ? object : pool_make(&pool);
}

static void *get_plainly(void *first, void *second, struct cache *cache, int64_t top)
{
	(void)first, (void)second;
	return get_slowly(cache, top);
}

/* A function that only gives an object to the pool; its bytes. */
static size_t write_put(uint8_t *code, struct pool *into)
{
	static const uint8_t begin[] = {0x53, 0x48, 0x89, 0xfb};   /* push %rbx; mov %rdi, %rbx */
	static const uint8_t nop[] = {0x90}, end[] = {0x5b, 0xc3}; /* pop %rbx; ret */
	const struct entry_place place = {nop, sizeof nop, 3};
	size_t exit[ENTRY_EXITS], exits, bytes;

	memcpy(code, begin, sizeof begin);
	bytes = entry_put(code + sizeof begin, into, into->index, &place, exit, &exits);
	for (size_t i = 0; i < exits; i++) {
		int32_t distance = (int32_t)(bytes - (exit[i] + JUMP_BYTES));

		code[sizeof begin + exit[i]] = JUMP;
		memcpy(code + sizeof begin + exit[i] + 1, &distance, sizeof distance);
	}
	memcpy(code + sizeof begin + bytes, end, sizeof end);
	return sizeof begin + bytes + sizeof end;
}

/* Writes both to a page that can run then; false where there is no fast path. */
static bool make_code(unsigned index)
{
	const struct entry_arming plain = {.slow = (const void *)get_plainly};
	size_t first;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	first = entry_get(page + GET_AT, index, &plain);
	tap_ok(first <= ENTRY_CODE_BYTES && write_put(page + PUT_AT, &pool) <= ARMED_AT - PUT_AT,
	        "entry: its code is as long as it says at most");
	set_page(PROT_READ | PROT_EXEC);
	code_low = page;
	code_high = page + PAGE;
	memcpy(&get, &(void *){page + GET_AT}, sizeof get);
	memcpy(&put, &(void *){page + PUT_AT}, sizeof put);
	return first > 0;
}

static struct object *take(void)
{
	struct object *object = get();

	objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
	return object;
}

static void give(struct object *object)
{
	objects_move(object, OBJECT_LIVE, OBJECT_IDLE);
	put(object);
}

static void test_counts(void)
{
	struct object *object[HELD];
	struct pool_stats stats;

	for (unsigned i = 0; i < HELD; i++)
		object[i] = take();
	pool_read(&pool, &stats);
	tap_ok(stats.create_new == HELD && stats.live == HELD, "entry: an empty pool makes objects");
	for (unsigned i = 0; i < HELD; i++)
		give(object[i]);
	pool_read(&pool, &stats);
	tap_ok(stats.pooled == HELD && stats.live == 0 && stats.destroy_delete == 0,
	        "entry: what is put is pooled, in cache and depot");
	tap_ok(stats.destroy_local > stats.destroy_depot && stats.destroy_depot > 0,
	        "entry: a full cache spills a batch");
	for (unsigned i = 0; i < HELD; i++)
		object[i] = take();
	pool_read(&pool, &stats);
	tap_ok(stats.create_new == HELD && stats.create_depot > 0 && stats.live == HELD,
	        "entry: an empty cache takes a batch");
	give(object[0]);
	tap_ok(take() == object[0], "entry: the youngest comes first");
	for (unsigned i = 0; i < HELD; i++)
		give(object[i]);
}

static void *last_thing(void *unused)
{
	give(take());
	return unused;
}

static void test_thread(void)
{
	struct pool_stats stats;
	pthread_t thread;

	pthread_create(&thread, NULL, last_thing, NULL);
	pthread_join(thread, NULL);
	pool_read(&pool, &stats);
	tap_ok(stats.live == 0 && stats.create_new == HELD, "entry: a new thread gets what others have left");
}

static volatile sig_atomic_t steps;

static struct object *stepped; /* that a handler has taken, and a later one gives back */

/*
 * Single steps: after each instruction of the code, what a handler may do, all by the same code. One more object is in
 * its hands after it than before it, or one less.
 */
static void on_step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	const uint8_t *next = (const uint8_t *)at->uc_mcontext.gregs[REG_RIP];

	(void)signal, (void)info;
	if (next >= code_low && next < code_high) {
		struct object *first = take(), *second = take();

		steps++;
		give(steps % 2 == 0 ? first : second);
		if (stepped != NULL)
			give(stepped);
		stepped = stepped != NULL ? NULL : steps % 2 == 0 ? second : first;
		if (stepped == NULL)
			give(steps % 2 == 0 ? second : first);
	}
}

static void give_stepped(void)
{
	if (stepped != NULL)
		give(stepped);
	stepped = NULL;
}

static void set_trap(bool on)
{
	__asm__ volatile("pushfq\n\t andq %0, (%%rsp)\n\t orq %1, (%%rsp)\n\t popfq"
	                 :
	                 : "r"(~(uint64_t)TRAP_FLAG), "r"((uint64_t)(on ? TRAP_FLAG : 0))
	                 : "memory", "cc");
}

static void test_interrupted(void)
{
	struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
	struct object *object[40];
	struct pool_stats stats;
	uint64_t missed;

	sigaction(SIGTRAP, &action, NULL);
	for (unsigned i = 0; i < 40; i++) {
		set_trap(true);
		object[i] = get();
		set_trap(false);
		objects_move(object[i], OBJECT_IDLE, OBJECT_LIVE);
	}
	for (unsigned i = 0; i < 40; i++) {
		objects_move(object[i], OBJECT_LIVE, OBJECT_IDLE);
		set_trap(true);
		put(object[i]);
		set_trap(false);
	}
	give_stepped();
	pool_read(&pool, &stats);
	missed = stats.create_new - stats.destroy_delete;
	tap_ok(steps > 40 * 10, "entry: a signal came after each of its instructions");
	tap_ok(stats.live == 0 && stats.pooled == missed, "entry: and nothing was lost or handed out twice");
}

/* ---- armed ---- */

/* What an armed one is given; its first words are written by code of ours. */
struct request {
	struct object *object; /* as the arming code got it */
	void *second;          /* the other argument, as it got it */
	uint64_t armed;        /* how often it ran */
	struct cache *cache;   /* that the slow path was told */
};

/* clang-format off */
static const uint8_t arming_code[] = {
	0x48, 0x89, 0x07,				/* mov %rax, (%rdi) */
	0x48, 0x89, 0x77, 0x08,				/* mov %rsi, 8(%rdi) */
	0x48, 0x83, 0x47, 0x10, 0x01,			/* addq $1, 0x10(%rdi) */
	0x31, 0xc9, 0x31, 0xd2,				/* xor %ecx, %ecx; xor %edx, %edx */
};
/* clang-format on */

static void *(*get_armed)(struct request *request, void *second);
static unsigned slow_calls;

static void *get_armed_slowly(struct request *request, void *second, struct cache *cache, int64_t top)
{
	slow_calls++;
	request->second = second;
	request->cache = cache;
	return get_slowly(cache, top);
}

static bool make_armed(void)
{
	const struct entry_arming arming = {arming_code, sizeof arming_code, (const void *)get_armed_slowly};
	size_t bytes;

	set_page(PROT_READ | PROT_WRITE);
	bytes = entry_get(page + ARMED_AT, pool.index, &arming);
	set_page(PROT_READ | PROT_EXEC);
	memcpy(&get_armed, &(void *){page + ARMED_AT}, sizeof get_armed);
	tap_ok(bytes > sizeof arming_code && bytes <= ENTRY_CODE_BYTES,
	        "armed: its code is no longer than it says");
	return bytes > 0;
}

static struct cache *own_cache(void)
{
	return &thread_self->cache[pool.index];
}

static void empty_cache(struct object *object[CACHE_SLOTS], unsigned *count)
{
	for (*count = 0; cache_count(own_cache()) > 0; ++*count)
		object[*count] = take();
}

static void test_armed(void)
{
	struct object *object[CACHE_SLOTS], *got;
	struct request request = {0};
	struct pool_stats before, after;
	unsigned count;

	give(take());
	pool_read(&pool, &before);
	got = get_armed(&request, &count);
	pool_read(&pool, &after);
	objects_move(got, OBJECT_IDLE, OBJECT_LIVE);
	tap_ok(request.object == got && request.second == &count && request.armed == 1,
	        "armed: the object is armed once, with what the caller said");
	tap_is(slow_calls, 0, "armed: where the cache has one nothing else is called");
	tap_ok(after.create_local == before.create_local + 1 && after.live == before.live + 1,
	        "armed: which is counted");
	give(got);
	empty_cache(object, &count);
	request = (struct request){0};
	got = get_armed(&request, &request);
	objects_move(got, OBJECT_IDLE, OBJECT_LIVE);
	tap_ok(slow_calls == 1 && request.second == &request && request.armed == 0,
	        "armed: an empty cache is left to the slow path, with both arguments");
	tap_ok(request.cache == own_cache() && got != NULL, "armed: and with the cache");
	give(got);
	while (count-- > 0)
		give(object[count]);
}

static void *first_armed(void *request)
{
	struct object *object = get_armed(request, NULL);

	objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
	give(object);
	return NULL;
}

static void test_armed_first(void)
{
	struct request request = {0};
	unsigned calls = slow_calls;
	struct pool_stats stats;
	pthread_t thread;

	pthread_create(&thread, NULL, first_armed, &request);
	pthread_join(thread, NULL);
	pool_read(&pool, &stats);
	tap_ok(slow_calls == calls + 1 && request.cache == &thread_closed.cache[pool.index],
	        "armed: a thread's first is left to the slow path, with the closed cache");
	tap_is(stats.live, 0, "armed: and comes back");
}

/* ---- in the middle of a function ---- */

static uint64_t first_runs, exits_taken[ENTRY_EXITS];
static size_t exits;

/* The instruction that is replaced: addq $1, 0(%rdi), in its longest form. */
static const uint8_t first_code[] = {0x48, 0x81, 0x87, 0, 0, 0, 0, 1, 0, 0, 0};

/* Where the function goes on: counts, and returns with all registers as they were. */
static void write_exit(unsigned number)
{
	uint8_t *at = page + EXITS_AT + number * 32;
	uint64_t *counter = &exits_taken[number];

	memcpy(at, "\x50\x48\xb8", 3); /* push %rax; movabs $counter, %rax */
	memcpy(at + 3, &counter, sizeof counter);
	memcpy(at + 11, "\x48\xff\x00\x58\xc3", 5); /* incq (%rax); pop %rax; ret */
}

/* Writes the code for each register that may hold the object; the exits lead to places that can be told. */
static void make_inside(struct pool *into)
{
	bool is_short = true, are_within = true;

	set_page(PROT_READ | PROT_WRITE);
	for (unsigned i = 0; i < ENTRY_EXITS; i++)
		write_exit(i);
	for (unsigned i = 0; i < KEPT; i++) {
		const struct entry_place place = {first_code, sizeof first_code, kept[i]};
		uint8_t *code = page + INSIDE_AT + i * INSIDE_STEP;
		size_t exit[ENTRY_EXITS], bytes;

		bytes = entry_put(code, into, into->index, &place, exit, &exits);
		is_short &= bytes > 0 && bytes <= ENTRY_CODE_BYTES;
		for (size_t j = 0; j < exits; j++) {
			uint8_t *jump = code + exit[j];
			int32_t distance = (int32_t)(page + EXITS_AT + j * 32 - (jump + JUMP_BYTES));

			are_within &= exit[j] + JUMP_BYTES <= bytes;
			*jump = JUMP;
			memcpy(jump + 1, &distance, sizeof distance);
		}
	}
	set_page(PROT_READ | PROT_EXEC);
	tap_ok(is_short && are_within, "inside: the code is no longer than it says, and its exits lie in it");
	tap_is(exits, get != NULL ? ENTRY_EXITS : 1, "inside: it has an exit for each of its ways");
}

/* Puts an object by the code for one register. Whether all registers, and the stack, are as they were. */
static bool put_inside(unsigned which, struct object *object, unsigned misaligned)
{
	struct registers before = registers_odd(), after;
	uint64_t runs = first_runs;

	before.value[DI] = (uintptr_t)&first_runs;
	before.value[kept[which]] = (uintptr_t)object;
	before.value[STACK_POINTER] = misaligned;
	objects_move(object, OBJECT_LIVE, OBJECT_IDLE);
	after = before;
	registers_call(&after, page + INSIDE_AT + which * INSIDE_STEP);
	return registers_are_kept(&before, &after, 0) && first_runs == runs + 1;
}

/* Into a cache that has room: by the first exit where there is a fast path. */
static void test_inside_room(void)
{
	bool are_kept = true, do_arrive = true;
	uint64_t fast = exits_taken[0], slow = exits_taken[1];
	struct pool_stats stats;

	for (unsigned i = 0; i < KEPT; i++) {
		for (unsigned misaligned = 0; misaligned < 16; misaligned++) {
			struct object *object = get_object(&pool);

			are_kept &= put_inside(i, object, misaligned);
			do_arrive &= get_object(&pool) == object;
			put_object(&pool, object);
		}
	}
	pool_read(&pool, &stats);
	tap_ok(are_kept,
	        "inside: with room in the cache all registers and the stack are kept, the first instruction "
	        "has run once");
	tap_ok(do_arrive && stats.live == 0, "inside: the object is the next one that is taken");
	tap_ok(exits_taken[0] - fast == 16 * KEPT && exits_taken[1] == slow, "inside: by the first exit");
}

static bool is_stack_aligned;
static unsigned destroyed;

/* Leaves nothing in the registers that a called function may change. */
static void destroy_rudely(void *owner, void *object)
{
	is_stack_aligned &= (uintptr_t)__builtin_frame_address(0) % 16 == 0;
	destroyed++;
	objects_destroy(owner, object);
	__asm__ volatile("xor %%eax, %%eax\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n xor %%esi, %%esi\n"
	                 "xor %%edi, %%edi\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n xor %%r10d, %%r10d\n"
	                 "xor %%r11d, %%r11d"
	                 :
	                 :
	                 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
}

static const struct pool_kind rude_kind = {
        .name = "rude", .make = objects_make, .destroy = destroy_rudely, .object_maps = POOL_OBJECT_MAPS};

/* Into a full cache whose depot takes nothing: the object is destroyed. */
static void test_inside_full(void)
{
	unsigned last = exits - 1;
	uint64_t taken = exits_taken[last];
	struct object *object[CACHE_SLOTS];
	struct pool_stats stats;
	bool are_kept = true;

	is_stack_aligned = true;
	for (unsigned i = 0; i < CACHE_SLOTS; i++)
		object[i] = get_object(&small);
	for (unsigned i = 0; i < CACHE_SLOTS; i++)
		put_object(&small, object[i]);
	for (unsigned i = 0; i < KEPT; i++) {
		for (unsigned misaligned = 0; misaligned < 16; misaligned++) {
			struct object *one = small.kind->make(NULL);

			tally_made(&small, one);
			objects_move(one, OBJECT_NEW, OBJECT_LIVE);
			are_kept &= put_inside(i, one, misaligned);
			are_kept &= one->state == OBJECT_DESTROYED;
		}
	}
	pool_read(&small, &stats);
	tap_ok(are_kept,
	        "inside: where nothing takes the object it is destroyed, and all registers are kept");
	tap_ok(is_stack_aligned && destroyed == 16 * KEPT,
	        "inside: which finds the stack aligned, however it was");
	tap_ok(stats.live == 0 && stats.pooled == CACHE_SLOTS, "inside: and is counted");
	tap_is(exits_taken[last] - taken, 16 * KEPT, "inside: by the last exit");
}

/* Into a full cache whose depot takes a batch. */
static void test_inside_spill(void)
{
	struct object *object[HELD];
	struct pool_stats before, after;
	bool are_kept = true;

	for (unsigned i = 0; i < HELD; i++)
		object[i] = get_object(&pool);
	pool_read(&pool, &before);
	for (unsigned i = 0; i < HELD; i++)
		are_kept &= put_inside(i % KEPT, object[i], i % 16);
	pool_read(&pool, &after);
	tap_ok(are_kept && after.live == 0 && after.destroy_delete == before.destroy_delete &&
	                after.destroy_depot > before.destroy_depot,
	        "inside: a full cache spills a batch, and all registers are kept");
}

static void *first_inside(void *object)
{
	return put_inside(0, object, 0) ? object : NULL;
}

static void test_inside_first(void)
{
	struct object *object = get_object(&pool);
	struct pool_stats stats;
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, first_inside, object);
	pthread_join(thread, &result);
	pool_read(&pool, &stats);
	tap_ok(result == object && stats.live == 0, "inside: a thread's first use of the pool may be there");
}

static void test_armed_interrupted(void)
{
	struct object *object[40];
	struct request request = {0};
	struct pool_stats stats;
	int before = steps;

	for (unsigned i = 0; i < 40; i++) {
		set_trap(true);
		object[i] = get_armed(&request, NULL);
		set_trap(false);
		objects_move(object[i], OBJECT_IDLE, OBJECT_LIVE);
	}
	for (unsigned i = 0; i < 40; i++)
		give(object[i]);
	give_stepped();
	pool_read(&pool, &stats);
	tap_ok(steps - before > 40 * 8, "armed: a signal came after each of its instructions");
	tap_ok(stats.live == 0 && stats.pooled == stats.create_new - stats.destroy_delete,
	        "armed: and nothing was lost or handed out twice");
}

/* The registers are set and looked at between the traps as well, so handlers see to them, too. */
static void test_inside_interrupted(void)
{
	struct object *object[HELD];
	struct pool_stats stats;
	bool are_kept = true;
	int before = steps;

	for (unsigned i = 0; i < HELD; i++)
		object[i] = get_object(&pool);
	for (unsigned i = 0; i < HELD; i++) {
		set_trap(true);
		are_kept &= put_inside(i % KEPT, object[i], i % 16);
		set_trap(false);
	}
	give_stepped();
	pool_read(&pool, &stats);
	tap_ok(steps - before > (int)HELD * 12, "inside: a signal came after each of its instructions");
	tap_ok(are_kept, "inside: and all registers are kept");
	tap_ok(stats.live == 0 && stats.pooled == stats.create_new - stats.destroy_delete,
	        "inside: and nothing was lost or handed out twice");
}

static void test_inside(void)
{
	make_inside(&small);
	test_inside_full();
	make_inside(&pool);
	test_inside_room();
	test_inside_spill();
	test_inside_first();
}

static int write_file(const char *path, const uint8_t *code, size_t bytes)
{
	FILE *file = fopen(path, "w");

	return file == NULL || fwrite(code, 1, bytes, file) != bytes || fclose(file) != 0;
}

/* Prints the code as QEMU gets it: for a create, and for a coroutine's end. */
static int write_code(const char *get_path, const char *put_path)
{
	const struct entry_arming arming = {qemu_code_arm, qemu_code_arm_bytes, (const void *)get_plainly};
	const uint8_t first[] = {0x48, 0xc7, 0x43, 0x10, 0, 0, 0, 0}; /* movq $0, 0x10(%rbx) */
	const struct entry_place place = {first, sizeof first, 3};
	uint8_t code[ENTRY_CODE_BYTES];
	size_t exit[ENTRY_EXITS], number;

	return write_file(get_path, code, entry_get(code, 0, &arming)) ||
	       write_file(put_path, code, entry_put(code, &pool, 0, &place, exit, &number));
}

int main(int argc, char **argv)
{
	bool has_code;

	if (argc == 3)
		return write_code(argv[1], argv[2]);
	if (pools_init(0, wake) != 0)
		return 1;
	pool_start(&other, &objects_kind, NULL, DEPOT_MAX_BATCHES);
	has_code = make_code(pool_start(&pool, &objects_kind, NULL, DEPOT_MAX_BATCHES));
	pool_start(&small, &rude_kind, NULL, 0);
	if (has_code) {
		test_counts();
		test_thread();
		test_interrupted();
		if (make_armed()) {
			test_armed();
			test_armed_first();
			test_armed_interrupted();
		}
	} else {
		get = NULL;
	}
	test_inside();
	if (has_code)
		test_inside_interrupted();
	tap_is(atomic_load(&objects_broken), 0, "entry: no object was handed out or destroyed twice");
	return tap_done();
}
