/* SPDX-License-Identifier: MIT */
/* What a stack costs on this machine. */
#ifndef COPOOL_TOOLS_JUDGE_COST_H
#define COPOOL_TOOLS_JUDGE_COST_H

#include <stddef.h>

/*
 * What it costs here to map a stack, set up its guard page, use it, and unmap it: CPU time in ns, the median of a few
 * measurements, made once in a process; 0 when there is no memory.
 */
double cost_stack_ns(void);

#endif
