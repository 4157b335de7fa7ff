/* SPDX-License-Identifier: MIT */
/*
 * Stacks that are used to a known depth: deep STACKS PAGES... maps so many stacks at once, with a guard page,
 * touches so many pages from their tops, and unmaps them, once for each PAGES. The word `<FIFO` waits until
 * who writes to that has closed it; `keep` leaves the stacks that follow it mapped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MANY = 10000 };

static char *stack[MANY];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void live(int stacks, size_t pages, int keeps)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (1 << 20) + page;
	size_t asked = bytes - page / 2; /* the system gives whole pages */

	for (int i = 0; i < stacks; i++) {
		stack[i] = mmap(
		        NULL, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		if (stack[i] == MAP_FAILED || mprotect(stack[i], page, PROT_NONE) != 0)
			fail("a stack");
		memset(stack[i] + bytes - pages * page, 1, pages * page);
	}
	for (int i = 0; i < stacks && !keeps; i++) {
		if (munmap(stack[i], asked) != 0)
			fail("munmap");
	}
}

static void await(const char *path)
{
	FILE *fifo = fopen(path, "r");

	if (fifo == NULL)
		fail(path);
	while (getc(fifo) != EOF)
		;
	fclose(fifo);
}

int main(int argc, char **argv)
{
	int stacks = argc > 2 ? atoi(argv[1]) : 0, keeps = 0;

	if (stacks <= 0 || stacks > MANY) {
		fprintf(stderr, "usage: deep STACKS PAGES|<FIFO|keep...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		if (argv[i][0] == '<')
			await(argv[i] + 1);
		else if (strcmp(argv[i], "keep") == 0)
			keeps = 1;
		else
			live(stacks, strtoul(argv[i], NULL, 10), keeps);
	}
	puts("done");
	return 0;
}
