/* SPDX-License-Identifier: MIT */
/* A hash table of stacks. Stacks are never removed. */
#include "report/origins/callers.h"

#include <string.h>

void callers_init(struct callers *callers)
{
	for (unsigned i = 0; i < POOL_MAX; i++)
		callers->stack[i].pool = i;
	/* [callers.used] relaxed: no other thread knows the table yet. */
	atomic_store_explicit(&callers->used, POOL_MAX, memory_order_relaxed);
}

unsigned callers_used(const struct callers *callers)
{
	/* [callers.used] acquire: sees the stacks before that number; pairs with add. */
	return atomic_load_explicit((_Atomic unsigned *)&callers->used, memory_order_acquire);
}

static bool is_same(const struct call_stack *a, const struct call_stack *b)
{
	return a->pool == b->pool && a->frames == b->frames && a->is_cut == b->is_cut &&
	       memcmp(a->frame, b->frame, a->frames * sizeof *a->frame) == 0;
}

/* FNV-1a (Fowler, Noll and Vo, 1991) of whole words, folded. */
static unsigned hash_of(const struct call_stack *stack)
{
	uint64_t hash = 14695981039346656037u ^ stack->pool;

	for (unsigned i = 0; i < stack->frames; i++)
		hash = (hash ^ stack->frame[i]) * 1099511628211u;
	return hash >> 40 ^ hash >> 20;
}

static unsigned add(struct callers *callers, const struct call_stack *stack)
{
	unsigned number = callers_used(callers);

	if (number == CALLERS_NUMBERS) {
		/* [callers.lost] relaxed: a statistic. */
		atomic_fetch_add_explicit(&callers->lost, 1, memory_order_relaxed);
		return 0;
	}
	callers->stack[number].pool = stack->pool;
	callers->stack[number].frames = stack->frames;
	callers->stack[number].is_cut = stack->is_cut;
	memcpy(callers->stack[number].frame, stack->frame, stack->frames * sizeof *stack->frame);
	/* [callers.used] release: publishes the stack to callers_used. */
	atomic_store_explicit(&callers->used, number + 1, memory_order_release);
	return number;
}

unsigned callers_find(struct callers *callers, const struct call_stack *stack)
{
	unsigned at = hash_of(stack) % CALLERS_BUCKETS, number;

	if (stack->frames == 0)
		return stack->pool;
	for (; callers->bucket[at] != 0; at = (at + 1) % CALLERS_BUCKETS) {
		if (is_same(&callers->stack[callers->bucket[at]], stack))
			return callers->bucket[at];
	}
	number = add(callers, stack);
	callers->bucket[at] = number;
	return number != 0 ? number : stack->pool;
}

void callers_count(struct callers *callers, unsigned number, unsigned misses)
{
	/* [callers.misses] relaxed: a statistic; pairs with callers_misses. */
	atomic_fetch_add_explicit(&callers->stack[number].misses, misses, memory_order_relaxed);
}

uint64_t callers_misses(const struct callers *callers, unsigned number)
{
	/* [callers.misses] relaxed: a statistic; pairs with callers_count. */
	return atomic_load_explicit((_Atomic uint64_t *)&callers->stack[number].misses, memory_order_relaxed);
}

uint64_t callers_lost(const struct callers *callers)
{
	/* [callers.lost] relaxed: a statistic; pairs with add. */
	return atomic_load_explicit((_Atomic uint64_t *)&callers->lost, memory_order_relaxed);
}

void callers_fork_child(struct callers *callers)
{
	/* [callers.misses, callers.lost] relaxed: the child has one thread. */
	for (unsigned i = 0; i < CALLERS_NUMBERS; i++)
		atomic_store_explicit(&callers->stack[i].misses, 0, memory_order_relaxed);
	atomic_store_explicit(&callers->lost, 0, memory_order_relaxed);
}
