/* SPDX-License-Identifier: MIT */
/*
 * A fork's child whose first coroutine stack is asked for in a signal handler, which most likely interrupts
 * malloc. Prints how many children there were, of which none may hang.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 20, STACK_BYTES = 64 << 10, PIECES = 20 };

static volatile sig_atomic_t is_over;

static void use_stack(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (stack == MAP_FAILED)
		_exit(3);
	stack[STACK_BYTES - 1] = 1;
	munmap(stack, STACK_BYTES);
}

static void on_alarm(int number)
{
	(void)number;
	use_stack();
	is_over = 1;
}

static void *idle(void *unused)
{
	pause();
	return unused;
}

/* Takes the stack that glibc may have kept of a thread of the parent: with it none would need malloc. */
static void start_thread(void)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, &attributes, idle, NULL) != 0)
		_exit(4);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void live(int number)
{
	struct itimerval soon = {.it_value.tv_usec = 100 + number % 40};
	void *piece[PIECES];

	start_thread();
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	while (!is_over) {
		for (int i = 0; i < PIECES; i++)
			piece[i] = malloc(2000 + (size_t)i * 100);
		for (int i = 0; i < PIECES; i++)
			free(piece[i]);
	}
	/* And from now on it is as in any other child. */
	use_stack();
	_exit(0);
}

int main(void)
{
	int status, ended = 0;

	use_stack();
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork();

		if (child == 0)
			live(i);
		if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			ended++;
	}
	printf("%d\n", ended);
	return 0;
}
