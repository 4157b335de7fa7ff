/* SPDX-License-Identifier: MIT */
/*
 * Included in front of every file with `make SAN=perturb`: each atomic operation of the real code may let
 * other threads run first, for a moment or for long, so that they come in between where they hardly ever do. Where
 * and how long is random. COPOOL_SEED=N tries again what a run has printed, as far as threads start in the
 * same order.
 *
 * The operations themselves are gcc's, as in its own stdatomic.h.
 */
#ifndef COPOOL_UNIT_PERTURB_H
#define COPOOL_UNIT_PERTURB_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* One of each in a program, whichever file it comes from. */
__attribute__((weak, visibility("default"))) uint32_t perturb_seed;
__attribute__((weak, visibility("default"))) uint32_t perturb_threads;
__attribute__((weak, visibility("default"))) __thread uint32_t perturb_state;

void perturb_start(void);
uint32_t perturb(void);

__attribute__((weak, constructor, visibility("default"))) void perturb_start(void)
{
	const char *seed = getenv("COPOOL_SEED");

	if (perturb_seed != 0)
		return; /* called for each file */
	perturb_seed = seed != NULL ? (uint32_t)strtoul(seed, NULL, 10) : (uint32_t)getpid() * 2654435761u;
	printf("# COPOOL_SEED=%u\n", perturb_seed);
	fflush(stdout);
}

/* Waits, or not, and returns a random number; a signal handler in its middle may be returned the same. */
__attribute__((weak, visibility("default"))) uint32_t perturb(void)
{
	struct timespec moment = {0, 1};

	if (perturb_state == 0) {
		uint32_t thread = __atomic_add_fetch(&perturb_threads, 1, __ATOMIC_RELAXED);
		perturb_state = (perturb_seed ^ thread * 0x9e3779b9u) | 1;
	}
	perturb_state ^= perturb_state << 13;
	perturb_state ^= perturb_state >> 17;
	perturb_state ^= perturb_state << 5;
	if (perturb_state % 512 == 0)
		nanosleep(&moment, NULL); /* some 50 us: others make hundreds of operations */
	else if (perturb_state % 16 == 0) {
		for (uint32_t i = perturb_state >> 8 & 255; i > 0; i--)
			__asm__ volatile("");
	}
	return perturb_state;
}

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_flag_test_and_set_explicit
#undef atomic_flag_clear_explicit

#define atomic_load_explicit(object, order)            (perturb(), __atomic_load_n(object, order))
#define atomic_store_explicit(object, value, order)    (perturb(), __atomic_store_n(object, value, order))
#define atomic_exchange_explicit(object, value, order) (perturb(), __atomic_exchange_n(object, value, order))
#define atomic_compare_exchange_strong_explicit(object, expected, value, order, otherwise)                   \
	(perturb(), __atomic_compare_exchange_n(object, expected, value, 0, order, otherwise))
/* Fails for no reason at times, as it may. */
#define atomic_compare_exchange_weak_explicit(object, expected, value, order, otherwise)                     \
	(perturb() % 32 == 0 ? (*(expected) = __atomic_load_n(object, otherwise), 0)                         \
	                     : __atomic_compare_exchange_n(object, expected, value, 1, order, otherwise))
#define atomic_fetch_add_explicit(object, value, order)  (perturb(), __atomic_fetch_add(object, value, order))
#define atomic_fetch_sub_explicit(object, value, order)  (perturb(), __atomic_fetch_sub(object, value, order))
#define atomic_fetch_or_explicit(object, value, order)   (perturb(), __atomic_fetch_or(object, value, order))
#define atomic_fetch_and_explicit(object, value, order)  (perturb(), __atomic_fetch_and(object, value, order))
#define atomic_flag_test_and_set_explicit(object, order) (perturb(), __atomic_test_and_set(object, order))
#define atomic_flag_clear_explicit(object, order)        (perturb(), __atomic_clear(object, order))

#endif
