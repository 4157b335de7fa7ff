/* SPDX-License-Identifier: MIT */
/*
 * unloads LIBRARY: loads libcopool.so while it runs, makes stacks by it in two threads, and unloads it; then one of the
 * threads ends, and the other forks.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 64 << 10, SOME = 100 };

static void *(*map)(void *, size_t, int, int, int, off_t);
static int (*unmap)(void *, size_t);
static pthread_barrier_t used, unloaded;

static void use(void)
{
	char *some[SOME];

	for (int i = 0; i < SOME; i++) {
		some[i] = map(
		        NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		some[i][BYTES - 1] = 1;
	}
	for (int i = 0; i < SOME; i++)
		unmap(some[i], BYTES);
}

static void *run(void *unused)
{
	use();
	pthread_barrier_wait(&used);
	pthread_barrier_wait(&unloaded);
	return unused;
}

int main(int count, char **words)
{
	void *library = count > 1 ? dlopen(words[1], RTLD_NOW) : NULL;
	pthread_t thread;
	pid_t child;

	if (library == NULL)
		return 2;
	*(void **)&map = dlsym(library, "mmap");
	*(void **)&unmap = dlsym(library, "munmap");
	pthread_barrier_init(&used, NULL, 2);
	pthread_barrier_init(&unloaded, NULL, 2);
	pthread_create(&thread, NULL, run, NULL);
	pthread_barrier_wait(&used);
	use();
	dlclose(library);
	pthread_barrier_wait(&unloaded);
	pthread_join(thread, NULL);
	child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	puts("fine");
	return 0;
}
