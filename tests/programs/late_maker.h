/* SPDX-License-Identifier: MIT */
/*
 * A library with one function that maps, and may set a guard page up: by its name MAKER it is one that makes coroutine
 * stacks, perl's Coro's, or one of which nothing is known. Two such libraries have the same code in the same places.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PLAIN = MAP_PRIVATE | MAP_ANONYMOUS, OWN = 50, OWN_BYTES = 64 << 10 };

char *MAKER(unsigned long bytes, int is_guarded);

/* NULL if there is none to be had. */
char *MAKER(unsigned long bytes, int is_guarded)
{
	char *volatile stack = mmap(0, bytes, PROT_READ | PROT_WRITE, PLAIN, -1, 0);

	if (stack == MAP_FAILED || (is_guarded && mprotect(stack, PAGE, PROT_NONE) != 0))
		return 0;
	return stack;
}

/* Under the loader's lock, for a program that wants that. */
__attribute__((constructor)) static void begin(void)
{
	char *stack;

	for (int i = 0; getenv("LATE_CONSTRUCTOR") != NULL && i < OWN; i++) {
		stack = MAKER(OWN_BYTES, 1);
		memset(stack + PAGE, 1, OWN_BYTES - PAGE);
		munmap(stack, OWN_BYTES);
	}
}

/* And in dlclose. */
__attribute__((destructor)) static void end(void)
{
	begin();
}
