/*
 * Stacks that are reserved first and opened above their guard, as corosensei does it.
 *
 *	reserved ROUNDS		lives of such stacks, several alive; what is seen is printed
 *	reserved odd		opened in other ways, or never
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, BYTES = 64 * PAGE, ALIVE = 20 };

static sigjmp_buf back;

static void on_fault(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static int can_touch(volatile char *at)
{
	if (sigsetjmp(back, 1) != 0)
		return 0;
	*at = *at;
	return 1;
}

static char *reserve(void)
{
	return mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
}

static int run(long rounds)
{
	char *stack[ALIVE];
	long wrong = 0;

	for (long i = 0; i < rounds; i++) {
		for (int k = 0; k < ALIVE; k++) {
			stack[k] = reserve();
			wrong += mprotect(stack[k] + PAGE, BYTES - PAGE, PROT_READ | PROT_WRITE) != 0;
			memset(stack[k] + BYTES - 2 * PAGE, k + 1, 2 * PAGE);
		}
		if (i % 100 == 0)
			for (int k = 0; k < ALIVE; k++)
				wrong += can_touch(stack[k]) || can_touch(stack[k] + PAGE - 1) ||
				         !can_touch(stack[k] + PAGE);
		for (int k = 0; k < ALIVE; k++) {
			wrong += stack[k][BYTES - 1] != k + 1;
			wrong += munmap(stack[k], BYTES) != 0;
		}
	}
	printf("wrong %ld\n", wrong);
	return wrong != 0;
}

static int run_odd(void)
{
	char *stack;

	for (int round = 0; round < 3; round++) {
		stack = reserve(); /* never opened */
		printf("never %d\n", munmap(stack, BYTES));
		stack = reserve(); /* in two parts, the upper one first */
		printf("upper %d ", mprotect(stack + BYTES / 2, BYTES / 2, PROT_READ | PROT_WRITE));
		printf("%d%d ", can_touch(stack + PAGE), can_touch(stack + BYTES / 2));
		printf("lower %d ", mprotect(stack + PAGE, BYTES / 2, PROT_READ | PROT_WRITE));
		printf("%d%d\n", can_touch(stack + PAGE), can_touch(stack));
		munmap(stack, BYTES);
		stack = reserve(); /* the middle, for reading */
		printf("middle %d ", mprotect(stack + PAGE, PAGE, PROT_READ));
		printf("%d%d%d\n", can_touch(stack), can_touch(stack + PAGE), can_touch(stack + 2 * PAGE));
		munmap(stack, BYTES);
		stack = reserve(); /* all of it */
		printf("all %d ", mprotect(stack, BYTES, PROT_READ | PROT_WRITE));
		printf("%d%d ", can_touch(stack), can_touch(stack + BYTES - 1));
		printf("none %d ", mprotect(stack, BYTES, PROT_NONE));
		printf("%d%d\n", can_touch(stack), can_touch(stack + BYTES - 1));
		munmap(stack, BYTES);
	}
	return 0;
}

int main(int count, char **argument)
{
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	setvbuf(stdout, NULL, _IONBF, 0);
	if (count > 1 && strcmp(argument[1], "odd") == 0)
		return run_odd();
	return run(count > 1 ? strtol(argument[1], NULL, 10) : 0);
}
