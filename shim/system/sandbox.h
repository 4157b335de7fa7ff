/* SPDX-License-Identifier: MIT */
/*
 * What the program forbids itself by seccomp, on pain of death: then the shim makes no system call any more
 * in the program's threads but those that the program makes for its stacks.
 */
#ifndef COPOOL_SYSTEM_SANDBOX_H
#define COPOOL_SYSTEM_SANDBOX_H

#include <stdbool.h>

struct sock_fprog;

/* The calling thread has just taken on a filter; NULL: the strict mode. Makes no system call. */
void sandbox_know(const struct sock_fprog *filter);

/* Whether a call of ours could kill. Any thread. */
bool sandbox_is_tight(void);

#endif
