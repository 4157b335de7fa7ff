/* SPDX-License-Identifier: MIT */
/*
 * Stacks that are reserved first and opened afterwards: above their guard, as corosensei does it, or between two guards,
 * as PowerDNS does.
 *
 *	reserved ROUNDS [between] [plain] [zero]	lives of such stacks, several alive; what is seen is printed
 *	reserved odd			opened in other ways, or never
 *	reserved exception KIND		as ROUNDS, until one is treated otherwise: `never` opened, opened `above` another
 *					guard, from the `bottom`, for `reading`, or in `parts`; then again
 *	reserved overflow [above]	runs into a recycled stack's guard, or into the one above it
 *
 * `plain`: without MAP_STACK; `zero`: each stack must be zero when it is opened.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, BYTES = 64 * PAGE, ALIVE = 20, RW = PROT_READ | PROT_WRITE };

static sigjmp_buf back;
static bool is_plain, is_between, is_zero;

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

/* One call, whoever wants a stack; what comes after it makes it return here. */
__attribute__((noinline)) static char *reserve(void)
{
	static char *volatile last;

	last = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | (is_plain ? 0 : MAP_STACK), -1, 0);
	return last;
}

/* The end of what is opened. */
static size_t top(void)
{
	return BYTES - (is_between ? PAGE : 0);
}

static int open_stack(char *stack)
{
	return mprotect(stack + PAGE, top() - PAGE, RW);
}

static long wrong_in(const char *stack)
{
	for (size_t i = PAGE; i < top(); i++) {
		if (stack[i] != 0)
			return 1;
	}
	return 0;
}

static long live(char **stack)
{
	long wrong = 0;

	for (int k = 0; k < ALIVE; k++) {
		stack[k] = reserve();
		wrong += open_stack(stack[k]) != 0;
		wrong += is_zero ? wrong_in(stack[k]) : 0;
		memset(stack[k] + top() - 2 * PAGE, k + 1, 2 * PAGE);
	}
	return wrong;
}

static long die(char **stack)
{
	long wrong = 0;

	for (int k = 0; k < ALIVE; k++) {
		wrong += stack[k][top() - 1] != k + 1;
		wrong += munmap(stack[k], BYTES) != 0;
	}
	return wrong;
}

static int run(long rounds)
{
	char *stack[ALIVE];
	long wrong = 0;

	for (long i = 0; i < rounds; i++) {
		wrong += live(stack);
		for (int k = 0; k < ALIVE && i % 100 == 0; k++) {
			wrong += can_touch(stack[k]) || can_touch(stack[k] + PAGE - 1);
			wrong += !can_touch(stack[k] + PAGE) || !can_touch(stack[k] + top() - 1);
			wrong += is_between &&
			         (can_touch(stack[k] + top()) || can_touch(stack[k] + BYTES - 1));
		}
		wrong += die(stack);
	}
	printf("wrong %ld\n", wrong);
	return wrong != 0;
}

/* What may be touched of each page, as a word. */
static const char *pages_of(char *stack)
{
	static char page[BYTES / PAGE + 1];

	for (int i = 0; i < BYTES / PAGE; i++)
		page[i] = can_touch(stack + i * PAGE) ? 'w' : '-';
	return page;
}

static int run_odd(void)
{
	char *stack;

	for (int round = 0; round < 3; round++) {
		stack = reserve(); /* never opened */
		printf("never %d\n", munmap(stack, BYTES));
		stack = reserve(); /* in two parts, the upper one first */
		printf("upper %d ", mprotect(stack + BYTES / 2, BYTES / 2, RW));
		printf("%d%d ", can_touch(stack + PAGE), can_touch(stack + BYTES / 2));
		printf("lower %d ", mprotect(stack + PAGE, BYTES / 2, RW));
		printf("%d%d\n", can_touch(stack + PAGE), can_touch(stack));
		munmap(stack, BYTES);
		stack = reserve(); /* the middle, for reading */
		printf("middle %d ", mprotect(stack + PAGE, PAGE, PROT_READ));
		printf("%d%d%d\n", can_touch(stack), can_touch(stack + PAGE), can_touch(stack + 2 * PAGE));
		munmap(stack, BYTES);
		stack = reserve(); /* all of it */
		printf("all %d ", mprotect(stack, BYTES, RW));
		printf("%d%d ", can_touch(stack), can_touch(stack + BYTES - 1));
		printf("none %d ", mprotect(stack, BYTES, PROT_NONE));
		printf("%d%d\n", can_touch(stack), can_touch(stack + BYTES - 1));
		munmap(stack, BYTES);
		stack = reserve(); /* between two guards, then upwards, and downwards */
		printf("between %d %s\n", mprotect(stack + PAGE, BYTES - 3 * PAGE, RW), pages_of(stack));
		printf("upwards %d %s\n", mprotect(stack + BYTES - 4 * PAGE, 3 * PAGE, RW), pages_of(stack));
		printf("all %d %s\n", mprotect(stack, BYTES, RW), pages_of(stack));
		munmap(stack, BYTES);
		stack = reserve(); /* the same, and closed from above */
		printf("between %d ", mprotect(stack + PAGE, BYTES - 3 * PAGE, RW));
		printf("the guard %d ", mprotect(stack + BYTES - 2 * PAGE, 2 * PAGE, PROT_NONE));
		printf("more %d %s\n", mprotect(stack + BYTES - 3 * PAGE, 3 * PAGE, PROT_NONE),
		        pages_of(stack));
		printf("in part %d\n", munmap(stack + BYTES - PAGE, PAGE));
		printf("the rest %d\n", munmap(stack, BYTES - PAGE));
	}
	return 0;
}

static void treat(char *stack, const char *kind)
{
	if (strcmp(kind, "above") == 0)
		printf("above %d", mprotect(stack + 3 * PAGE, top() - 3 * PAGE, RW));
	else if (strcmp(kind, "bottom") == 0)
		printf("bottom %d", mprotect(stack, 4 * PAGE, RW));
	else if (strcmp(kind, "reading") == 0)
		printf("reading %d", mprotect(stack + PAGE, top() - PAGE, PROT_READ));
	else if (strcmp(kind, "parts") == 0)
		printf("parts %d %d", mprotect(stack + PAGE, 4 * PAGE, RW),
		        mprotect(stack + 5 * PAGE, 4 * PAGE, RW));
	/* One that is never opened may be touched, where it was opened in its last use. */
	printf(" %s\n", strcmp(kind, "never") != 0 ? pages_of(stack) : kind);
	munmap(stack, BYTES);
}

static int run_exception(const char *kind)
{
	int status = run(10);

	treat(reserve(), kind);
	status |= run(10);
	treat(reserve(), kind);
	return status | run(10);
}

static int overflow(bool is_above)
{
	char *stack[ALIVE];
	volatile char *at;

	is_between = true;
	run(10);
	live(stack);
	signal(SIGSEGV, SIG_DFL);
	at = stack[3] + (is_above ? top() - 1 : PAGE);
	*at = 1; /* the last that is the stack's */
	printf("at the edge\n");
	at[is_above ? 1 : -1] = 1;
	printf("beyond it\n");
	return 0;
}

static bool has(int count, char **argument, const char *word)
{
	for (int i = 2; i < count; i++) {
		if (strcmp(argument[i], word) == 0)
			return true;
	}
	return false;
}

int main(int count, char **argument)
{
	const char *what = count > 1 ? argument[1] : "0";

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	setvbuf(stdout, NULL, _IONBF, 0);
	is_plain = has(count, argument, "plain");
	is_between = has(count, argument, "between");
	is_zero = has(count, argument, "zero");
	if (strcmp(what, "odd") == 0)
		return run_odd();
	if (strcmp(what, "exception") == 0 && count > 2)
		return run_exception(argument[2]);
	if (strcmp(what, "overflow") == 0)
		return overflow(has(count, argument, "above"));
	return run(strtol(what, NULL, 10));
}
