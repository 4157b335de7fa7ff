/* SPDX-License-Identifier: MIT */
/*
 * One allocation function for both: stacks with a guard page, by which its call is learned, and then tables
 * that rely on being all zero and on being there to their first byte.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { BYTES = 64 << 10, PAGE = 4096, ROUNDS = 40 };

__attribute__((noinline)) static char *allocate(bool has_guard)
{
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED && has_guard)
		mprotect(memory, PAGE, PROT_NONE);
	return memory;
}

static int dirty_bytes(const char *memory)
{
	int dirty = 0;

	for (int i = 0; i < BYTES; i++)
		dirty += memory[i] != 0;
	return dirty;
}

int main(void)
{
	int dirty = 0;

	for (int i = 0; i < ROUNDS; i++) {
		char *stack = allocate(true);

		memset(stack + PAGE, 0xaa, BYTES - PAGE);
		munmap(stack, BYTES);
	}
	for (int i = 0; i < ROUNDS; i++) {
		char *table = allocate(false);

		dirty += dirty_bytes(table);
		memset(table, 0x55, BYTES);
		munmap(table, BYTES);
	}
	printf("%d bytes were not zero\n", dirty);
	return 0;
}
