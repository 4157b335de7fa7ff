/* SPDX-License-Identifier: MIT */
/* The time, by one of the system's clocks. */
#ifndef COPOOL_TOOLS_CLOCK_H
#define COPOOL_TOOLS_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ms(void)
{
	return clock_now_ns(CLOCK_MONOTONIC) / 1000000;
}

#endif
