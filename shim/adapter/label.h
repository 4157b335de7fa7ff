/* SPDX-License-Identifier: MIT */
/*
 * Names of stacks' mappings: prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME). A recycled stack has its name, or the kernel's refusal,
 * from the first time, so that a program that names its stacks each time makes no call.
 */
#ifndef COPOOL_ADAPTER_LABEL_H
#define COPOOL_ADAPTER_LABEL_H

#include "stack/arena.h"

/* Called once, before any other. */
void label_init(void);

/* Names a whole stack as prctl() would, result and errno; `is_saved` says whether that took no call. */
int label_set(const struct arena_place *place, unsigned long bytes, const char *name, bool *is_saved);

#endif
