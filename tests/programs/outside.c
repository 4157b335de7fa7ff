/* SPDX-License-Identifier: MIT */
/*
 * Has functions that are called as QEMU's, for who counts from outside how often they are entered. outside N LATE GO
 * [END]: two threads are there from the start, two more once there is a file LATE; once there is a file GO all four call
 * qemu_coroutine_create N times, and in half of those qemu_coroutine_new and qemu_coroutine_delete. With END each thread
 * removes LATE after its first qemu_coroutine_new, and goes on once there is a file END. Says how many threads could not
 * be started.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EARLY = 2 };

static long number;
static const char *late, *go, *end;

__attribute__((noinline)) void qemu_coroutine_new(void);
__attribute__((noinline)) void qemu_coroutine_delete(void);
__attribute__((noinline)) void qemu_coroutine_create(long i);

static void wait_for(const char *path)
{
	while (access(path, F_OK) != 0)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
}

void qemu_coroutine_new(void)
{
	__asm__ volatile("" ::: "memory");
}

void qemu_coroutine_delete(void)
{
	__asm__ volatile("" ::: "memory");
}

void qemu_coroutine_create(long i)
{
	if (i % 2 == 0) {
		qemu_coroutine_new();
		if (i == 0 && end != NULL) {
			unlink(late);
			wait_for(end);
		}
		qemu_coroutine_delete();
	}
	__asm__ volatile("" ::: "memory");
}

static void *work(void *unused)
{
	(void)unused;
	wait_for(go);
	for (long i = 0; i < number; i++)
		qemu_coroutine_create(i);
	return NULL;
}

int main(int arguments, char **argument)
{
	pthread_t thread[2 * EARLY];
	int failed = 0;

	if (arguments < 4 || arguments > 5)
		return 2;
	number = atol(argument[1]);
	late = argument[2];
	go = argument[3];
	end = argument[4];
	for (int i = 0; i < 2 * EARLY; i++) {
		if (i == EARLY)
			wait_for(late);
		failed += pthread_create(&thread[i], NULL, work, NULL) != 0;
	}
	for (int i = 0; i < 2 * EARLY && failed == 0; i++)
		pthread_join(thread[i], NULL);
	printf("%d threads could not be started\n", failed);
	return failed != 0;
}
