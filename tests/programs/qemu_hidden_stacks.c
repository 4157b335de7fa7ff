/* SPDX-License-Identifier: MIT */
/*
 * Coroutines end where nobody can know, and there are stacks as QEMU's, the first one before that can be known. It goes
 * on until the file `go` is there.
 */
#define HIDDEN_LOOP

#include "qemu_like.h"

#include <sys/mman.h>
#include <time.h>

enum { STACK_BYTES = 1 << 20, GUARD_BYTES = 4096 };

void *qemu_alloc_stack(void);

EXPORTED __attribute__((noinline)) void *qemu_alloc_stack(void)
{
	void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE) != 0)
		die("there is no stack");
	return stack;
}

int main(void)
{
	const struct timespec a_while = {.tv_nsec = 1000000};

	while (access("go", F_OK) != 0) {
		munmap(qemu_alloc_stack(), STACK_BYTES);
		churn(200, 100);
		nanosleep(&a_while, NULL);
	}
	return 0;
}
