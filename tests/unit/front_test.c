/*
 * The code of pool/front.h, run from a page of its own: it does what pool_get and pool_put do, in the cache,
 * at its ends, without a cache, and in a signal handler that interrupts it at each of its instructions.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "objects.h"
#include "pool/front.h"
#include "tap.h"

enum { TRAP_FLAG = 0x100, HELD = 100 };

static struct pool pool, other;
static void *(*get)(void);
static void (*put)(void *object);
static const uint8_t *code_low, *code_high;

static void wake(void)
{
}

/* Writes both to a page that can run then; false where there is no such code. */
static bool make_code(unsigned index)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t first = front_get(page, &pool, index), second = front_put(page + 256, &pool, index);

	tap_ok((first == 0) == (second == 0) && first <= FRONT_BYTES && second <= FRONT_BYTES,
	        "front: its code is as long as it says at most");
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	code_low = page;
	code_high = page + 4096;
	memcpy(&get, &(void *){page}, sizeof get);
	memcpy(&put, &(void *){page + 256}, sizeof put);
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
	tap_ok(stats.create_new == HELD && stats.live == HELD, "front: an empty pool makes objects");
	for (unsigned i = 0; i < HELD; i++)
		give(object[i]);
	pool_read(&pool, &stats);
	tap_ok(stats.pooled == HELD && stats.live == 0 && stats.destroy_delete == 0,
	        "front: what is put is pooled, in cache and depot");
	tap_ok(stats.destroy_local > stats.destroy_depot && stats.destroy_depot > 0,
	        "front: a full cache spills a batch");
	for (unsigned i = 0; i < HELD; i++)
		object[i] = take();
	pool_read(&pool, &stats);
	tap_ok(stats.create_new == HELD && stats.create_depot > 0 && stats.live == HELD,
	        "front: an empty cache takes a batch");
	give(object[0]);
	tap_ok(take() == object[0], "front: the youngest comes first");
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
	tap_ok(stats.live == 0 && stats.create_new == HELD, "front: a new thread gets what others have left");
}

static volatile sig_atomic_t steps;

/* Single steps: after each instruction of the code, what a handler may do, all by the same code. */
static void on_step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	const uint8_t *next = (const uint8_t *)at->uc_mcontext.gregs[REG_RIP];

	(void)signal, (void)info;
	if (next >= code_low && next < code_high) {
		struct object *first = take(), *second = take();

		steps++;
		give(steps % 2 == 0 ? first : second);
		give(steps % 2 == 0 ? second : first);
	}
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
	pool_read(&pool, &stats);
	missed = stats.create_new - stats.destroy_delete;
	tap_ok(steps > 40 * 10, "front: a signal came after each of its instructions");
	tap_ok(stats.live == 0 && stats.pooled == missed, "front: and nothing was lost or handed out twice");
}

/* The code itself, for who wants to read it. */
static int write_code(const char *path, size_t (*front)(uint8_t[FRONT_BYTES], struct pool *, unsigned))
{
	uint8_t code[FRONT_BYTES];
	size_t bytes = front(code, &pool, 0);
	FILE *file = fopen(path, "w");

	return file == NULL || fwrite(code, 1, bytes, file) != bytes || fclose(file) != 0;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return write_code(argv[1], front_get) || write_code(argv[2], front_put);
	if (pools_init(0, wake) != 0)
		return 1;
	pool_start(&other, &objects_kind, NULL, DEPOT_MAX_BATCHES);
	if (!make_code(pool_start(&pool, &objects_kind, NULL, DEPOT_MAX_BATCHES)))
		return tap_done();
	test_counts();
	test_thread();
	test_interrupted();
	tap_is(atomic_load(&objects_broken), 0, "front: no object was handed out or destroyed twice");
	return tap_done();
}
