/* SPDX-License-Identifier: MIT */
/* A library that a program loads and lets go: makes coroutine stacks from a call site that will not stay. */
#include <sys/mman.h>

enum { PAGE = 4096, PLAIN = MAP_PRIVATE | MAP_ANONYMOUS };

char *plugin_stack(unsigned long bytes, int flags);

/* Its name is only in the file. */
__attribute__((noinline)) static char *map_hidden(unsigned long bytes, int flags)
{
	char *volatile stack = mmap(0, bytes, PROT_READ | PROT_WRITE, PLAIN | flags, -1, 0);

	return stack;
}

/* A stack with its guard page; NULL if there is none to be had. */
char *plugin_stack(unsigned long bytes, int flags)
{
	char *stack = map_hidden(bytes, flags);

	if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) != 0)
		return 0;
	stack[bytes - 1] = 1;
	return stack;
}
