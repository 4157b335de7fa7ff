/* SPDX-License-Identifier: MIT */
/*
 * Names of stacks' mappings, as PHP sets them: prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME). A recycled stack still has
 * its name, or the kernel's refusal, so that a program that names its stacks each time makes no system call.
 */
#ifndef COPOOL_ADAPTER_LABEL_H
#define COPOOL_ADAPTER_LABEL_H

#include "stack/arena.h"

/* Called once, before label_set. */
void label_init(void);

/* Names a whole stack as prctl() would, result and errno. Sets `is_saved` to whether that took no system call. */
int label_set(const struct arena_place *place, unsigned long bytes, const char *name, bool *is_saved);

#endif
