/* SPDX-License-Identifier: MIT */
/*
 * leaves [fork]: the first thread of the process, or of a child of it, leaves it to another one, which uses
 * coroutine stacks, prints, and ends; and with it the process.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 128 << 10, STACKS = 100 };

static void use_stack(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (stack == MAP_FAILED)
		exit(3);
	stack[STACK_BYTES - 1] = 1;
	munmap(stack, STACK_BYTES);
}

static void *work(void *first)
{
	pthread_join(*(pthread_t *)first, NULL);
	for (int i = 0; i < STACKS; i++)
		use_stack();
	/* Printed when the process ends, by whoever ends it. */
	printf("worked\n");
	return NULL;
}

int main(int argc, char **argv)
{
	static pthread_t first;
	pthread_t thread;
	int status;

	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	use_stack();
	if (argc > 1 && strcmp(argv[1], "fork") == 0) {
		pid_t child = fork();

		if (child > 0)
			return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status)
			                                                                : 4;
		use_stack();
	}
	first = pthread_self();
	if (pthread_create(&thread, NULL, work, &first) != 0)
		return 5;
	pthread_exit(NULL);
}
