/* SPDX-License-Identifier: MIT */
/*
 * A program with coroutine stacks whose size is chosen: host THREADS STACKS idle|busy. All threads but the
 * first use a few stacks and then sleep; the first maps STACKS and unmaps them, says "ready", and sleeps, or
 * does the same again all the time, until its input ends. It never touches one: what a program does in its
 * stacks is its own.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { FEW = 40, THREADS_MOST = 10000, STACKS_MOST = 1000000, REST_MS = 1 };

static const size_t stack_bytes = 16 << 10, own_stack_bytes = 64 << 10;
static void *held[STACKS_MOST];
static pthread_barrier_t asleep;

static void use(void **where, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		where[i] = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE,
		        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	for (unsigned long i = 0; i < count; i++)
		munmap(where[i], stack_bytes);
}

static void *sleeper(void *unused)
{
	void *few[FEW];

	use(few, FEW);
	pthread_barrier_wait(&asleep);
	poll(NULL, 0, -1);
	return unused;
}

static void start(unsigned long sleepers)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_barrier_init(&asleep, NULL, (unsigned)sleepers + 1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, own_stack_bytes);
	for (unsigned long i = 0; i < sleepers; i++) {
		if (pthread_create(&thread, &attributes, sleeper, NULL) != 0)
			exit(1);
	}
	pthread_barrier_wait(&asleep);
}

int main(int count, char **word)
{
	unsigned long threads = count == 4 ? strtoul(word[1], NULL, 10) : 0;
	unsigned long stacks = count == 4 ? strtoul(word[2], NULL, 10) : 0;
	struct pollfd input = {.fd = 0, .events = POLLIN};
	int wait = count == 4 && strcmp(word[3], "busy") == 0 ? REST_MS : -1;

	if (threads == 0 || threads > THREADS_MOST || stacks > STACKS_MOST)
		return 2;
	start(threads - 1);
	use(held, stacks);
	puts("ready");
	fflush(stdout);
	while (poll(&input, 1, wait) == 0)
		use(held, stacks);
	return 0;
}
