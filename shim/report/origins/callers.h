/* SPDX-License-Identifier: MIT */
/*
 * A table of distinct call stacks, and how often each was seen. Its size is fixed. One thread at a time adds stacks;
 * any thread counts, and the statistics thread reads at any time.
 *
 * The first numbers are no stacks: number N, below POOL_MAX, stands for all unknown stacks of pool N.
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
	uint8_t frames; /* 0: the stack is unknown */
	bool is_cut;    /* there were more frames */
};

struct callers {
	_Atomic unsigned used; /* stacks before this number are complete */
	_Atomic uint64_t lost; /* how often there was no room for a stack */
	struct call_stack stack[CALLERS_NUMBERS];
	uint16_t bucket
	        [CALLERS_BUCKETS]; /* numbers by hash, open addressing; 0: free. Only callers_find uses it */
};

/* Prepares a table, which must be zeroed. */
void callers_init(struct callers *callers);

/*
 * Returns the number of a stack like `stack`, misses aside; adds it if it is new. If it has no frames, or there is no
 * room, returns the number for unknown stacks of its pool. One thread at a time.
 */
unsigned callers_find(struct callers *callers, const struct call_stack *stack);

/* Adds `misses` to a stack's. Any thread. */
void callers_count(struct callers *callers, unsigned number, unsigned misses);

/* How many numbers are in use. Any thread. */
unsigned callers_used(const struct callers *callers);

/* The misses of a stack. Any thread. */
uint64_t callers_misses(const struct callers *callers, unsigned number);

/* How often there was no room for a stack. Any thread. */
uint64_t callers_lost(const struct callers *callers);

/* In a fork's child: counts begin at 0; stacks keep their numbers. */
void callers_fork_child(struct callers *callers);

#endif
