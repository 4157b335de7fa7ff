/* SPDX-License-Identifier: MIT */
/*
 * Stacks of one size that are asked for at several places, and what a program is called in that time. Each word does
 * something:
 *
 *	use		maps and unmaps stacks: 50 at one place, 20 at another, 5 at the first that may hold code
 *	title TEXT	writes TEXT over its arguments, as programs do to show a title
 *	fork		a child does what follows; its parent waits for it, and returns its status
 *	threads N	four threads map and unmap, N times each
 *	touch FILE	makes a file
 *	wait FILE	waits until there is such a file
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64 << 10, MOST = 64, THREADS = 4 };

static int times;

static __attribute__((noinline)) void *at_one_place(int protection)
{
	void *stack = mmap(NULL, BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	__asm__ volatile(""); /* no tail call: the call is here */
	return stack;
}

static __attribute__((noinline)) void *at_another(int protection)
{
	void *stack = mmap(NULL, BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	__asm__ volatile("nop");
	return stack;
}

static void use(void *(*map)(int), int protection, int count)
{
	void *stack[MOST];

	for (int i = 0; i < count; i++)
		stack[i] = map(protection);
	for (int i = 0; i < count; i++)
		munmap(stack[i], BYTES);
}

static void *use_often(void *unused)
{
	for (int i = 0; i < times; i++)
		use(at_one_place, PROT_READ | PROT_WRITE, 20);
	return unused;
}

static void use_in_threads(void)
{
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, use_often, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void await_file(const char *path)
{
	while (access(path, F_OK) != 0)
		nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void show_title(char *from, const char *end, const char *title)
{
	size_t room = (size_t)(end - from);

	memset(from, '\0', room);
	strncpy(from, title, room - 1);
}

int main(int count, char **arguments)
{
	char *word[MOST], *begin = arguments[0],
	                  *end = arguments[count - 1] + strlen(arguments[count - 1]) + 1;
	int status;

	for (int i = 0; i < count && i < MOST; i++)
		word[i] = strdup(arguments[i]);
	for (int i = 1; i < count && i < MOST; i++) {
		if (strcmp(word[i], "use") == 0) {
			use(at_one_place, PROT_READ | PROT_WRITE, 50);
			use(at_another, PROT_READ | PROT_WRITE, 20);
			use(at_one_place, PROT_READ | PROT_WRITE | PROT_EXEC, 5);
		} else if (strcmp(word[i], "title") == 0) {
			show_title(begin, end, word[++i]);
		} else if (strcmp(word[i], "threads") == 0) {
			times = atoi(word[++i]);
			use_in_threads();
		} else if (strcmp(word[i], "touch") == 0) {
			fclose(fopen(word[++i], "w"));
		} else if (strcmp(word[i], "wait") == 0) {
			await_file(word[++i]);
		} else if (strcmp(word[i], "fork") == 0 && fork() > 0) {
			wait(&status);
			return WEXITSTATUS(status);
		}
	}
	puts("fine");
	return 0;
}
