/* SPDX-License-Identifier: MIT */
/*
 * Distinct call stacks, and how often each was seen: a table of fixed size. One writer at a time adds stacks;
 * any thread counts, and the statistics thread reads without asking.
 *
 * The first numbers are no stacks: number N is what is not known of pool N.
 */
#ifndef COPOOL_REPORT_ORIGINS_CALLERS_H
#define COPOOL_REPORT_ORIGINS_CALLERS_H

#include "pool/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	CALLERS_FRAMES = 32, /* the innermost ones */
	CALLERS_STACKS = 1024,
	CALLERS_NUMBERS = POOL_MAX + CALLERS_STACKS,
	CALLERS_BUCKETS = 4096,
};

struct call_stack {
	uintptr_t frame[CALLERS_FRAMES]; /* return addresses, innermost first */
	_Atomic uint64_t misses;
	uint16_t pool;
	uint8_t frames; /* 0: not known */
	bool is_cut;    /* there were more */
};

struct callers {
	_Atomic unsigned used; /* stacks before this number are complete */
	_Atomic uint64_t lost; /* times that there was no room for a stack */
	struct call_stack stack[CALLERS_NUMBERS];
	uint16_t bucket[CALLERS_BUCKETS]; /* numbers by hash, open addressing; 0: free. The writer's */
};

/* Prepares a zeroed table. */
void callers_init(struct callers *callers);

/*
 * The number of the stack that `stack` describes (all but its misses), added if it is new; the pool's number
 * for what is not known when it has no frames, or when there is no room. One caller at a time.
 */
unsigned callers_find(struct callers *callers, const struct call_stack *stack);

/* Counts misses of a stack. Any thread. */
void callers_count(struct callers *callers, unsigned number, unsigned misses);

/* How many numbers there are. Any thread. */
unsigned callers_used(const struct callers *callers);

/* The misses of a stack. Any thread. */
uint64_t callers_misses(const struct callers *callers, unsigned number);

/* How often there was no room for a stack. Any thread. */
uint64_t callers_lost(const struct callers *callers);

/* In a fork's child: counts begin anew; numbers stay what they are. */
void callers_fork_child(struct callers *callers);

#endif
