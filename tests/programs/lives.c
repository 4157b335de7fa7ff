/* SPDX-License-Identifier: MIT */
/*
 * Lives of stacks from one call of mmap, told by their guard pages alone or by MAP_STACK.
 *
 *	learned N	N lives with a guard page
 *	spoiled N	the same, but the last of the first half has none
 *	ends		stacks that end in every way there is
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, BYTES = 64 << 10 };

/* One call for all, and no jump: that is what makes them alike. */
__attribute__((noinline)) static char *map(int more)
{
	char *volatile mapped =
	        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);

	return mapped;
}

static int live(int has_guard)
{
	char *stack = map(0);

	if (stack == MAP_FAILED || (has_guard && mprotect(stack, PAGE, PROT_NONE) != 0))
		return 1;
	memset(stack + PAGE, 1, BYTES - PAGE);
	return munmap(stack, BYTES);
}

static int run_lives(int count, int spoiled)
{
	int wrong = 0;

	for (int i = 1; i <= count; i++)
		wrong += live(i != spoiled);
	return wrong;
}

static int run_ends(void)
{
	int plain = MAP_PRIVATE | MAP_ANONYMOUS, wrong = 0;
	char *stack[6], *moved;

	for (int i = 0; i < 6; i++)
		stack[i] = map(MAP_STACK);
	wrong += munmap(stack[0], 0) != -1; /* none */
	wrong += munmap(stack[0], BYTES);
	wrong += munmap(stack[1], PAGE); /* its low end is what is known of it */
	wrong += munmap(stack[1] + PAGE, BYTES - PAGE);
	wrong += mmap(stack[2], BYTES, PROT_READ, plain | MAP_FIXED, -1, 0) != stack[2];
	moved = mremap(stack[3], BYTES, 2 * BYTES, MREMAP_MAYMOVE);
	wrong += moved == MAP_FAILED;
	wrong += mremap(stack[4], 1, BYTES, 0x4000) != MAP_FAILED; /* no such flag */
	wrong += munmap(stack[4], BYTES);
	/* As a part of more, unseen until something else is there. */
	moved = mmap(stack[5] - PAGE, PAGE, PROT_READ, plain | MAP_FIXED_NOREPLACE, -1, 0);
	if (moved == stack[5] - PAGE)
		wrong += munmap(moved, BYTES + PAGE);
	else
		wrong += munmap(stack[5], BYTES);
	wrong += mmap(stack[5], BYTES, PROT_READ, plain | MAP_FIXED, -1, 0) != stack[5];
	return wrong;
}

int main(int count, char **argument)
{
	const char *what = count > 1 ? argument[1] : "";
	int lives = count > 2 ? atoi(argument[2]) : 0, wrong;

	if (strcmp(what, "learned") == 0)
		wrong = run_lives(lives, 0);
	else if (strcmp(what, "spoiled") == 0)
		wrong = run_lives(lives, lives / 2);
	else if (strcmp(what, "ends") == 0)
		wrong = run_ends();
	else
		return 2;
	printf("wrong %d\n", wrong);
	return wrong != 0;
}
