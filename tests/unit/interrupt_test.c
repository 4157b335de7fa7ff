/* SPDX-License-Identifier: MIT */
/*
 * A signal handler after each instruction of a create, of a destroy and (after each seventh, as there are many) of a
 * thread's end. It uses the pool itself, or forks: then parent and child continue as if it had come before or after the
 * operation. This needs single steps, so it runs only where the processor has them, and not under ThreadSanitizer.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "objects.h"
#include "pool/gate.h"
#include "pool/fast_path.h"
#include "pool/fork.h"
#include "pool/stats.h"
#include "pool/upkeep.h"
#include "tap.h"

/* AddressSanitizer has ten times the instructions, and forks slowly. */
#ifdef __SANITIZE_ADDRESS__
enum { FORK_STRIDE = 7 };
#else
enum { FORK_STRIDE = 1 };
#endif

enum { TRAP_FLAG = 0x100, HELD_MAX = 4 * CACHE_SLOTS, STEPS_MAX = 20000, END_STRIDE = 7 * FORK_STRIDE };

/* What a child found wrong; its exit status. */
enum { CHILD_FINE, CHILD_SHARED, CHILD_TWICE, CHILD_LIVE, CHILD_LOST, CHILD_INSIDE, CHILD_OUTCOMES };

static struct pool bare, deep; /* a depot that keeps nothing, and one that keeps all */

/* One operation, tried at each of its instructions. Threads are one after the other. */
static struct trial {
	struct pool *pool;
	void (*prepare)(void);
	void (*operate)(void);
	bool is_fork;
	unsigned stride; /* the handler acts behind every so many instructions */
	unsigned at;     /* behind this one now */
} trial;

static struct object *held[HELD_MAX];
static unsigned holds;
static volatile unsigned steps;
static volatile bool is_fired;
static volatile pid_t child;
static pthread_key_t early, late; /* their values' ends are before and behind that of the pool's */

static void wake(void)
{
}

#ifndef OWNER_WORD_BY_ATOMIC

static void use_pool(void)
{
	struct object *object[3];

	for (unsigned i = 0; i < 3; i++)
		object[i] = get_object(trial.pool);
	for (unsigned i = 0; i < 3; i++)
		put_object(trial.pool, object[i]);
}

static void on_step(int number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	(void)number, (void)info;
	if (++steps != trial.at)
		return;
	is_fired = true;
	at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	if (trial.is_fork)
		child = fork();
	else
		use_pool();
}

static inline void set_trap(bool on)
{
	__asm__ volatile("pushfq\n\t andq %0, (%%rsp)\n\t orq %1, (%%rsp)\n\t popfq"
	                 :
	                 : "r"(~(uint64_t)TRAP_FLAG), "r"((uint64_t)(on ? TRAP_FLAG : 0))
	                 : "memory", "cc");
}

/* ---- what is tried ---- */

static void hold(unsigned count)
{
	while (holds < count)
		held[holds++] = get_object(trial.pool);
}

static void let_go(unsigned count)
{
	while (holds > count)
		put_object(trial.pool, held[--holds]);
}

static bool has_empty_cache(void)
{
	return cache_count(&thread_self->cache[trial.pool->index]) == 0;
}

static void prepare_nothing(void)
{
}

/* Holds whatever others have left; nothing is in the cache. */
static void prepare_miss(void)
{
	hold(CACHE_SLOTS);
	while (!has_empty_cache())
		hold(holds + 1);
}

static void prepare_full(void)
{
	hold(4 * CACHE_SLOTS);
	while (cache_count(&thread_self->cache[trial.pool->index]) < CACHE_SLOTS)
		let_go(holds - 1);
}

/* A batch, and objects that do not fill one. */
static void prepare_end(void)
{
	hold(BATCH_SIZE + 2);
}

/* The cache is empty, and the depot is not. */
static void prepare_refill(void)
{
	hold(3 * CACHE_SLOTS);
	let_go(0);
	while (!has_empty_cache() || depot_depth(&trial.pool->depot) == 0)
		hold(holds + 1);
}

static void operate_get(void)
{
	struct object *object;

	set_trap(true);
	object = pool_get(trial.pool, trial.pool->index);
	set_trap(false);
	objects_move(object, OBJECT_IDLE, OBJECT_LIVE);
	held[holds++] = object;
}

static void operate_put(void)
{
	struct object *object = holds > 0 ? held[--holds] : NULL;

	if (object == NULL)
		return;
	objects_move(object, OBJECT_LIVE, OBJECT_IDLE);
	set_trap(true);
	pool_put(trial.pool, trial.pool->index, object);
	set_trap(false);
}

/* See `early`. */
static void operate_end(void)
{
	let_go(0);
	pthread_setspecific(early, &trial);
	pthread_setspecific(late, &trial);
}

/* ---- what must hold then ---- */

/* Takes all that there is: whatever exists and is nowhere was lost. */
static int look_at_child(void)
{
	struct pool_stats stats;
	unsigned long found = 0;

	if (cache_is_one(atomic_load(&thread_closed.cache[trial.pool->index].top)))
		return CHILD_SHARED;
	for (unsigned round = 0; round < 3; round++)
		use_pool();
	let_go(0);
	pool_read(trial.pool, &stats);
	if (stats.live != 0)
		return CHILD_LIVE;
	for (unsigned i = 0; i < pool_count(); i++) {
		while (pool_take(pool_at(i), i) != NULL)
			found++;
	}
	if (!is_nobody_inside())
		return CHILD_INSIDE;
	if (atomic_load(&objects_broken) != 0)
		return CHILD_TWICE;
	return found == atomic_load(&objects_made) - atomic_load(&objects_destroyed) ? CHILD_FINE
	                                                                             : CHILD_LOST;
}

static void at_early_end(void *unused)
{
	(void)unused;
	set_trap(true);
}

static void at_late_end(void *unused)
{
	(void)unused;
	set_trap(false);
	if (child == 0)
		_exit(look_at_child());
}

static void *run(void *is_open)
{
	trial.prepare();
	trial.operate();
	if (child == 0)
		_exit(look_at_child());
	if (trial.operate == operate_end)
		return NULL;
	use_pool();
	*(bool *)is_open = atomic_load(&thread_self->cache[trial.pool->index].top) >= 0;
	let_go(0);
	return NULL;
}

static int wait_for_child(void)
{
	int status = 0;

	if (child <= 0)
		return CHILD_FINE;
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) < CHILD_OUTCOMES ? WEXITSTATUS(status)
	                                                                 : CHILD_OUTCOMES;
}

/* Every instruction, until the operation ends before the handler comes. */
static void try(const char *name, struct trial what)
{
	unsigned long broken = atomic_load(&objects_broken);
	unsigned outcome[CHILD_OUTCOMES + 1] = {0}, closed = 0;
	bool is_balanced_always = true;
	unsigned tries = 0;

	trial = what;
	do {
		bool is_open = true;
		pthread_t thread;

		trial.at += trial.stride;
		tries++;
		holds = steps = 0;
		is_fired = false;
		child = -1;
		pthread_create(&thread, NULL, run, &is_open);
		pthread_join(thread, NULL);
		closed += !is_open;
		is_balanced_always &= is_balanced(trial.pool, 0);
		outcome[wait_for_child()]++;
	} while (is_fired && trial.at < STEPS_MAX);
	tap_ok(tries > 10 && trial.at < STEPS_MAX,
	        "interrupt: a handler that %s came behind the instructions of %s",
	        what.is_fork ? "forks" : "uses the pool", name);
	tap_ok(closed == 0, "interrupt: and the thread's cache is of use after each");
	tap_ok(is_balanced_always && atomic_load(&objects_broken) == broken,
	        "interrupt: and no object is lost or handed out twice");
	if (!what.is_fork)
		return;
	tap_is(outcome[CHILD_FINE], tries,
	        "interrupt: and every child goes on, with all that the parent had");
	for (unsigned i = 1; i <= CHILD_OUTCOMES; i++) {
		if (outcome[i] > 0)
			printf("# %u children ended with %u\n", outcome[i], i);
	}
}

static void try_all(bool is_fork)
{
	try("a first create", (struct trial){&bare, prepare_nothing, operate_get, is_fork, FORK_STRIDE, 0});
	try("a miss", (struct trial){&bare, prepare_miss, operate_get, is_fork, FORK_STRIDE, 0});
	try("a refill", (struct trial){&deep, prepare_refill, operate_get, is_fork, FORK_STRIDE, 0});
	try("a destroy into a full depot",
	        (struct trial){&bare, prepare_full, operate_put, is_fork, FORK_STRIDE, 0});
	try("a spill", (struct trial){&deep, prepare_full, operate_put, is_fork, FORK_STRIDE, 0});
	try("a thread's end", (struct trial){&bare, prepare_end, operate_end, is_fork, END_STRIDE, 0});
	try("a thread's end with a depot",
	        (struct trial){&deep, prepare_end, operate_end, is_fork, END_STRIDE, 0});
}

static void start(void)
{
	struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

	sigaction(SIGTRAP, &action, NULL);
	pthread_key_create(&early, at_early_end);
	pools_init(0, wake);
	pthread_key_create(&late, at_late_end);
	pthread_atfork(pool_fork_prepare, pool_fork_parent, pool_fork_child);
	pool_start(&bare, &objects_kind, NULL, 0);
	pool_start(&deep, &objects_kind, NULL, DEPOT_MAX_BATCHES);
}

int main(void)
{
	start();
	try_all(false);
	try_all(true);
	return tap_done();
}

#else

int main(void)
{
	(void)bare, (void)deep, (void)trial, (void)held, (void)holds, (void)steps, (void)is_fired,
	        (void)child;
	tap_ok(true, "interrupt: nothing can be stepped through here");
	return tap_done();
}

#endif
