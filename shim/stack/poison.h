/* SPDX-License-Identifier: MIT */
/*
 * Guard pages by poison, for Linux 6.6 to 6.12. userfaultfd marks a page so that touching it raises SIGBUS, and the
 * mapping stays whole. The mark survives fork and the descriptor that has set it; MADV_DONTNEED removes it. The
 * descriptor is open for a moment, with UFFD_USER_MODE_ONLY, which needs no privilege, and never while the program
 * forks.
 *
 * All threads. errno survives.
 */
#ifndef COPOOL_STACK_POISON_H
#define COPOOL_STACK_POISON_H

#include <stdbool.h>
#include <stddef.h>

/* Whether this Linux is new enough, judged by its version: a test would use poison without being asked. */
bool poison_is_in_kernel(void);

/*
 * Poisons `bytes` at `low`, whole pages of private anonymous memory, and drops their contents. 0 or -errno: -EAGAIN
 * while a fork is under way.
 */
int poison_install(void *low, size_t bytes);

/* Makes the pages ordinary again, and zero. 0 or -errno. */
int poison_remove(void *low, size_t bytes);

/* Around fork. `prepare` waits for threads that have a descriptor open, for a few system calls. */
void poison_fork_prepare(void);
void poison_fork_parent(void);
void poison_fork_child(void);

#endif
