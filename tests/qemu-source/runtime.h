/* SPDX-License-Identifier: MIT */
/* What runtime.c has beyond what QEMU's headers declare. */
#ifndef COPOOL_TESTS_RUNTIME_H
#define COPOOL_TESTS_RUNTIME_H

#include <stdatomic.h>

/* Stacks that were mapped and unmapped, of all threads. */
extern _Atomic unsigned long runtime_stacks_made, runtime_stacks_freed;

/* What was traced of each kind. */
extern _Atomic unsigned long runtime_traced_enter, runtime_traced_yield, runtime_traced_terminate;

/* Says that the program cannot go on, and ends it. */
_Noreturn void runtime_die(const char *why);

#endif
