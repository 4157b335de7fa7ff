/* SPDX-License-Identifier: MIT */
/*
 * What the program's seccomp filters forbid. If a system call of ours could end the program, the shim makes none in
 * the program's threads any more, except those that the program makes for its stacks.
 */
#ifndef COPOOL_SYSTEM_SANDBOX_H
#define COPOOL_SYSTEM_SANDBOX_H

#include <stdbool.h>

struct sock_fprog;

/* The calling thread has just installed a filter; NULL: the strict mode. Makes no system call. */
void sandbox_know(const struct sock_fprog *filter);

/* Whether a system call of ours could end the program. Any thread. */
bool sandbox_is_tight(void);

#endif
