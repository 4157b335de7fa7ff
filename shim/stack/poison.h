/* SPDX-License-Identifier: MIT */
/*
 * Guard pages by poison, for Linux 6.6 to 6.12: userfaultfd marks a page so that touching it raises SIGBUS,
 * and the mapping stays whole. The mark survives fork and the end of the descriptor that set it;
 * MADV_DONTNEED takes it away. The descriptor is open for the moment only, with UFFD_USER_MODE_ONLY, which
 * needs no privilege, and no fork of the program's comes in between.
 *
 * All threads. errno survives.
 */
#ifndef COPOOL_STACK_POISON_H
#define COPOOL_STACK_POISON_H

#include <stdbool.h>
#include <stddef.h>

/* Whether this Linux is new enough, by its version alone: a test would be to use it unasked. */
bool poison_is_in_kernel(void);

/*
 * Poisons `bytes` at `low`, whole pages of private anonymous memory; drops what they held. 0 or -errno: -EAGAIN while a
 * fork is under way.
 */
int poison_install(void *low, size_t bytes);

/* Makes them ordinary again: zero. 0 or -errno. */
int poison_remove(void *low, size_t bytes);

/*
 * Around fork: in the parent before it, where it waits for threads that have a descriptor, for a handful of system calls;
 * in the parent after it; in the child.
 */
void poison_fork_prepare(void);
void poison_fork_parent(void);
void poison_fork_child(void);

#endif
