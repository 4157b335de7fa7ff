/* SPDX-License-Identifier: MIT */
/* A few milliseconds of what a program does that has no pool. */
#include "judge/cost.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { MEASURED = 7, STACKS = 200, PAGE = 4096, STACK_BYTES = 1 << 20 };

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* False: there is no memory. */
static int make_stacks(void)
{
	for (size_t i = 0; i < STACKS; i++) {
		char *stack =
		        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (stack == MAP_FAILED)
			return 0;
		mprotect(stack, PAGE, PROT_NONE);
		((volatile char *)stack)[STACK_BYTES - 1] = 1;
		munmap(stack, STACK_BYTES);
	}
	return 1;
}

static int by_size(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

double cost_stack_ns(void)
{
	static double known = -1;
	double ns[MEASURED];

	for (size_t i = 0; known < 0 && i < MEASURED; i++) {
		double before = cpu_ns();

		if (!make_stacks())
			return known = 0;
		ns[i] = (cpu_ns() - before) / STACKS;
	}
	if (known < 0) {
		qsort(ns, MEASURED, sizeof *ns, by_size);
		known = ns[MEASURED / 2];
	}
	return known;
}
