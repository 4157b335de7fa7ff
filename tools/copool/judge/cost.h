/* SPDX-License-Identifier: MIT */
#ifndef COPOOL_TOOLS_JUDGE_COST_H
#define COPOOL_TOOLS_JUDGE_COST_H

#include <stddef.h>

/*
 * The CPU time in ns that this machine needs to map a stack, set up its guard page, use it, and unmap it: the median of
 * a few measurements, made once per process; 0 without memory.
 */
double cost_stack_ns(void);

#endif
