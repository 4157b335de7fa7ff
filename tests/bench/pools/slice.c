/* SPDX-License-Identifier: MIT */
/* A slice's threads. They begin together, at a barrier that spins, and leave the pool as they end. */
#include "slice.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct worker {
	pthread_t thread;
	const struct contender *contender;
	const struct order *order;
	struct lane *lane;
	double begin, end;   /* CLOCK_MONOTONIC, ns */
	double processor;    /* ns */
	uint64_t operations; /* of all threads, about */
};

static struct lane lanes[THREADS_MOST];
static unsigned char walk[WALK_STEPS];
static struct ring rings[THREADS_MOST / 2 + 1];

/* Written by slice_run while no thread is there, counted by the threads. */
static struct {
	unsigned threads;
	_Atomic unsigned arrived, idling;
	_Atomic bool is_over;
	pthread_mutex_t lock;
	pthread_cond_t over;
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

#ifdef POOLS_COUNT
_Atomic uint64_t depot_operations;
static _Atomic uint64_t exist;
#endif

void *object_make(void)
{
	void *object = malloc(OBJECT_BYTES);

	if (object == NULL)
		abort();
#ifdef POOLS_COUNT
	exist++;
#endif
	return object;
}

void object_destroy(void *object)
{
#ifdef POOLS_COUNT
	exist--;
#endif
	free(object);
}

uint64_t objects_exist(void)
{
#ifdef POOLS_COUNT
	return exist;
#else
	return 0;
#endif
}

/* Up and down between 0 and WALK_HEIGHT, the same in every run, from 0 to 0. */
static void make_walk(void)
{
	uint64_t random = 88172645463325252; /* Marsaglia's xorshift */
	unsigned height = 0;

	for (unsigned i = 0; i < WALK_STEPS; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* With a drift that turns, or it would stay low. */
		walk[i] = height == 0 || (height < WALK_HEIGHT && height < WALK_STEPS - i - 1 &&
		                                 (i / 512 % 2 == 0 ? random % 8 < 5 : random % 8 < 3));
		if (walk[i])
			height++;
		else
			height--;
	}
}

struct lane *slice_lane(unsigned number, uint64_t wide)
{
	struct lane *lane = &lanes[number];

	if (walk[0] == 0)
		make_walk();
	if (lane->held == NULL) {
		lane->held = mmap(NULL, HELD_MOST * sizeof(void *), PROT_READ | PROT_WRITE,
		        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (lane->held == MAP_FAILED)
			abort();
	}
	lane->wide = wide;
	lane->walk = walk;
	lane->produces = lane->consumes = true;
	lane->ring = &rings[number / 2];
	return lane;
}

static void meet(unsigned threads)
{
	unsigned arrived = atomic_fetch_add(&meeting.arrived, 1) + 1;
	unsigned wanted = (arrived + threads - 1) / threads * threads;

	for (unsigned spins = 0; atomic_load(&meeting.arrived) < wanted; spins++) {
		if (spins % 1000 == 999)
			sched_yield();
		__builtin_ia32_pause();
	}
}

void slice_run_lane(
        const struct contender *contender, const struct order *order, struct lane *lane, uint64_t pairs)
{
	pattern_function *const *patterns = order->is_called ? contender->called : contender->inlined;

	patterns[order->pattern](lane, pairs);
}

static bool is_at_edge(unsigned pattern)
{
	return pattern >= EDGE_2 && pattern <= EDGE_32;
}

void slice_warm(const struct contender *contender, const struct order *order, struct lane *lane)
{
	enum { HELD = EDGE_LEVEL + 32 };

	/* As full as the pattern itself makes the pool, and no fuller; but an edge lies in the middle of a
	 * swing. */
	if (is_at_edge(order->pattern)) {
		unsigned swing = 2u << (order->pattern - EDGE_2);

		for (unsigned i = 0; i < HELD + EDGE_LEVEL; i++)
			lane->held[i] = contender->take();
		for (unsigned i = HELD + swing / 2; i < HELD + EDGE_LEVEL; i++)
			contender->put(lane->held[i]);
	}
	slice_run_lane(contender, order, lane, order->pairs / 4 + 1);
}

/* The edge's lane gives back what it holds. */
static void cool(const struct contender *contender, const struct order *order, struct lane *lane)
{
	unsigned held = is_at_edge(order->pattern) ? EDGE_LEVEL + 32 + (1u << (order->pattern - EDGE_2)) : 0;

	for (unsigned i = 0; i < held; i++)
		contender->put(lane->held[i]);
}

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static uint64_t operations_of(const struct contender *contender)
{
	if (contender->operations != NULL)
		return contender->operations();
#ifdef POOLS_COUNT
	return depot_operations;
#else
	return 0;
#endif
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	const struct contender *contender = worker->contender;
	if (contender->thread_start != NULL)
		contender->thread_start();
	meet(meeting.threads);
	slice_warm(contender, worker->order, worker->lane);
	meet(meeting.threads);
	worker->operations = operations_of(contender);
	worker->processor = -now(CLOCK_THREAD_CPUTIME_ID);
	worker->begin = now(CLOCK_MONOTONIC);
	slice_run_lane(contender, worker->order, worker->lane, worker->order->pairs);
	worker->end = now(CLOCK_MONOTONIC);
	worker->processor += now(CLOCK_THREAD_CPUTIME_ID);
	meet(meeting.threads);
	worker->operations = operations_of(contender) - worker->operations;
	meet(meeting.threads);
	cool(contender, worker->order, worker->lane);
	if (contender->thread_stop != NULL)
		contender->thread_stop();
	return NULL;
}

/* Uses the pool a little and then sleeps until the slice is over. */
static void *idle(void *argument)
{
	const struct contender *contender = argument;
	void *object[40];

	if (contender->thread_start != NULL)
		contender->thread_start();
	for (unsigned i = 0; i < 40; i++)
		object[i] = contender->take();
	for (unsigned i = 0; i < 40; i++)
		contender->put(object[i]);
	atomic_fetch_add(&meeting.idling, 1);
	pthread_mutex_lock(&meeting.lock);
	while (!meeting.is_over)
		pthread_cond_wait(&meeting.over, &meeting.lock);
	pthread_mutex_unlock(&meeting.lock);
	if (contender->thread_stop != NULL)
		contender->thread_stop();
	return NULL;
}

static uint64_t resident_kib(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file != NULL) {
		if (fscanf(file, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* All or none: a thread that cannot be had leaves others waiting, so the process ends. */
static void begin_thread(pthread_t *thread, void *(*body)(void *), void *argument)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	if (pthread_create(thread, &attributes, body, argument) != 0) {
		fprintf(stderr, "pools: no thread\n");
		exit(1);
	}
	pthread_attr_destroy(&attributes);
}

static void begin(struct worker *workers, const struct contender *contender, const struct order *order)
{
	for (unsigned i = 0; i < order->threads; i++) {
		struct lane *lane = slice_lane(i, order->wide);

		/* Two and two, one way. */
		if (i + 1 < order->threads || i % 2 == 1) {
			lane->produces = i % 2 == 0;
			lane->consumes = !lane->produces;
		}
		workers[i] = (struct worker){.contender = contender, .order = order, .lane = lane};
		begin_thread(&workers[i].thread, work, &workers[i]);
	}
}

static void begin_idle(pthread_t *thread, const struct contender *contender, const struct order *order)
{
	for (unsigned i = 0; i < order->idle; i++)
		begin_thread(&thread[i], idle, (void *)contender);
	while (atomic_load(&meeting.idling) < order->idle)
		sched_yield();
}

static void end_idle(pthread_t *thread, unsigned count)
{
	pthread_mutex_lock(&meeting.lock);
	meeting.is_over = true;
	pthread_cond_broadcast(&meeting.over);
	pthread_mutex_unlock(&meeting.lock);
	for (unsigned i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
}

/*
 * Who hands over needs the other all the time: each must have had its processor from the first's begin to the
 * last's end. Others have nothing to do with each other.
 */
static void sum_up(struct answer *answer, const struct worker *workers, const struct order *order)
{
	double begin = workers[0].begin, end = workers[0].end;

	*answer = (struct answer){.processor = 1};
	for (unsigned i = 1; i < order->threads; i++) {
		begin = workers[i].begin < begin ? workers[i].begin : begin;
		end = workers[i].end > end ? workers[i].end : end;
	}
	for (unsigned i = 0; i < order->threads; i++) {
		double wall = workers[i].end - workers[i].begin, part;

		part = workers[i].processor / (order->pattern == HAND_OVER ? end - begin : wall);
		answer->processor = part < answer->processor ? part : answer->processor;
		answer->ns += wall / (double)order->pairs / order->threads;
	}
}

bool slice_run(const struct contender *contender, const struct order *order, struct answer *answer)
{
	static struct worker workers[THREADS_MOST];
	static pthread_t idlers[IDLE_MOST];

	if (order->threads > THREADS_MOST || order->idle > IDLE_MOST || order->wide > HELD_MOST)
		return false;
	meeting.threads = order->threads;
	meeting.arrived = meeting.idling = 0;
	meeting.is_over = false;
	begin_idle(idlers, contender, order);
	begin(workers, contender, order);
	for (unsigned i = 0; i < order->threads; i++)
		pthread_join(workers[i].thread, NULL);
	sum_up(answer, workers, order);
	answer->operations = workers[0].operations;
	answer->resident = resident_kib();
	answer->held = contender->held != NULL ? contender->held() : 0;
	end_idle(idlers, order->idle);
	return true;
}
