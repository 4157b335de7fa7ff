/* SPDX-License-Identifier: MIT */
/*
 * What the exported mmap and its relatives do. For every mapping that is not one of our stacks, each behaves exactly
 * as the libc function of its name, results and errno included; for our stacks only the speed differs. What they do
 * depends on one state, which the adapter for stacks sets:
 *
 *	HOOKS_PASS	before the adapter is attached, or if it never is: they call libc
 *	HOOKS_OBSERVE	they call libc, and stacks are counted (adapter/observe.h)
 *	HOOKS_POOL	stacks come from the arena and return to their pools
 *
 * All threads, at any time: also before our constructor and after our destructor.
 */
#ifndef COPOOL_ADAPTER_STACK_HOOKS_H
#define COPOOL_ADAPTER_STACK_HOOKS_H

#include "libc/real.h" /* declares those hooks that an exported function only passes on to */

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "stack/arena.h"

enum stack_hooks { HOOKS_PASS, HOOKS_OBSERVE, HOOKS_POOL };

/* The arena of the process. The adapter sets it up before HOOKS_POOL. */
extern struct arena stack_arena __attribute__((visibility("hidden")));

/* From now on the hooks do what `state` says. All that they need must be set up. */
void stack_hooks_set(enum stack_hooks state);

/* In a fork's child. */
void stack_hooks_fork_child(void);

/* The kernel refuses executable memory from now on. */
void stack_hooks_forbid_code(void);

/* `caller` is the return address of the program's call. */
void *hook_mmap(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller);
void *hook_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address);
int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

#endif
