/* SPDX-License-Identifier: MIT */
/*
 * Stacks whose guard is not set up once and for all by mprotect.
 *
 *	guards advised ROUNDS	lives of stacks whose program sets the guard up by MADV_GUARD_INSTALL, as systemd's fibers do
 *	guards opened ROUNDS	lives of stacks whose guard is opened again before they are unmapped, as SystemC does
 *	guards some ROUNDS	as `advised`; then some without a guard, which are written to from their lowest byte on
 *	guards other ROUNDS	as `advised`; then the guard is treated in other ways
 *	guards overflow ROUNDS	as `advised`; then one runs into its guard
 *	guards can		whether the kernel installs such guards: its status says so
 *
 * With `plain` at the end: without MAP_STACK; then each stack must be zero. What is seen is printed.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

enum { PAGE = 4096, BYTES = 16 * PAGE, ALIVE = 20, RW = PROT_READ | PROT_WRITE };

static sigjmp_buf back;
static volatile sig_atomic_t is_trying; /* else a fault is one */
static bool is_plain, is_opened;

static void on_fault(int number)
{
	if (is_trying)
		siglongjmp(back, 1);
	signal(number, SIG_DFL);
}

static int can_touch(volatile char *at)
{
	volatile int could = 0;

	is_trying = 1;
	if (sigsetjmp(back, 1) == 0) {
		*at = *at;
		could = 1;
	}
	is_trying = 0;
	return could;
}

/* One call, whoever wants a stack; what comes after it makes it return here. */
__attribute__((noinline)) static char *map_stack(void)
{
	static char *volatile last;

	last = mmap(NULL, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | (is_plain ? 0 : MAP_STACK), -1, 0);
	return last;
}

/* As systemd does it: by mprotect where the kernel knows no better. */
static int set_guard(char *stack)
{
	if (!is_opened && madvise(stack, PAGE, MADV_GUARD_INSTALL) == 0)
		return 0;
	return is_opened || errno == EINVAL ? mprotect(stack, PAGE, PROT_NONE) : -1;
}

static bool is_zero(const char *low, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (low[i] != 0)
			return false;
	}
	return true;
}

static long live(char **stack, bool is_looking)
{
	long wrong = 0;

	for (int k = 0; k < ALIVE; k++) {
		stack[k] = map_stack();
		wrong += is_plain && !is_zero(stack[k], BYTES);
		wrong += set_guard(stack[k]) != 0;
		memset(stack[k] + PAGE, k + 1, BYTES - PAGE);
		wrong += is_looking && (can_touch(stack[k]) || can_touch(stack[k] + PAGE - 1));
	}
	return wrong;
}

static long die(char **stack)
{
	long wrong = 0;

	for (int k = 0; k < ALIVE; k++) {
		wrong += stack[k][PAGE] != k + 1 || stack[k][BYTES - 1] != k + 1;
		/* Less than a page is rounded up. */
		wrong += is_opened && mprotect(stack[k], PAGE - 1, RW) != 0;
		wrong += munmap(stack[k], BYTES) != 0;
	}
	return wrong;
}

static void run(long rounds)
{
	char *stack[ALIVE];
	long wrong = 0;

	for (long i = 0; i < rounds; i++) {
		wrong += live(stack, i % 100 == 0);
		wrong += die(stack);
	}
	printf("wrong %ld\n", wrong);
}

static void use_without(void)
{
	char *stack[ALIVE];
	long wrong = 0;

	for (int k = 0; k < ALIVE; k++) {
		stack[k] = map_stack();
		/* A thread sets a stack's guard up before it asks for another: this one has none. */
		if (k > 0)
			memset(stack[k - 1], k, BYTES);
	}
	for (int k = 0; k < ALIVE; k++) {
		wrong += k < ALIVE - 1 && stack[k][0] != k + 1;
		wrong += munmap(stack[k], BYTES) != 0;
	}
	printf("without a guard: wrong %ld\n", wrong);
}

static void say(const char *what, int result, char *stack)
{
	printf("%s %d: %d%d\n", what, result, can_touch(stack), can_touch(stack + PAGE));
}

static void treat(void)
{
	char *stack = map_stack();

	set_guard(stack);
	say("opened by mprotect", mprotect(stack, BYTES, RW), stack);
	say("closed", mprotect(stack, PAGE, PROT_NONE), stack);
	say("removed", madvise(stack, PAGE, MADV_GUARD_REMOVE), stack);
	say("opened", mprotect(stack, PAGE, RW), stack);
	printf("zero %d\n", is_zero(stack, PAGE));
	munmap(stack, BYTES);
	stack = map_stack();
	set_guard(stack);
	say("removed", madvise(stack, PAGE, MADV_GUARD_REMOVE), stack);
	printf("zero %d\n", is_zero(stack, PAGE));
	say("installed", madvise(stack, PAGE, MADV_GUARD_INSTALL), stack);
	say("larger", madvise(stack, 2 * PAGE, MADV_GUARD_INSTALL), stack);
	say("smaller", madvise(stack + PAGE, PAGE, MADV_GUARD_REMOVE), stack);
	say("dropped", madvise(stack, BYTES, MADV_DONTNEED), stack);
	munmap(stack, BYTES);
	stack = map_stack();
	mprotect(stack, PAGE, PROT_NONE);
	say("closed", 0, stack);
	say("removed", madvise(stack, PAGE, MADV_GUARD_REMOVE), stack);
	say("opened", mprotect(stack, PAGE, RW), stack);
	munmap(stack, BYTES);
}

static void overflow(void)
{
	char *stack[ALIVE];
	volatile char *low;

	live(stack, true);
	signal(SIGSEGV, SIG_DFL);
	low = stack[ALIVE / 2] + PAGE;
	low[0] = 1;
	printf("at the edge\n");
	low[-1] = 1;
	printf("beyond it\n");
}

int main(int count, char **argument)
{
	const char *what = count > 1 ? argument[1] : "";

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	setvbuf(stdout, NULL, _IONBF, 0);
	is_plain = strcmp(argument[count - 1], "plain") == 0;
	is_opened = strcmp(what, "opened") == 0;
	if (strcmp(what, "can") == 0)
		return madvise(map_stack(), PAGE, MADV_GUARD_INSTALL) != 0;
	run(count > 2 ? strtol(argument[2], NULL, 10) : 0);
	if (strcmp(what, "some") == 0)
		use_without();
	if (strcmp(what, "other") == 0)
		treat();
	if (strcmp(what, "overflow") == 0)
		overflow();
	run(10);
	return 0;
}
