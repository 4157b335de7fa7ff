/* SPDX-License-Identifier: MIT */
/*
 * The host `stacks` when it only observes: mmap and its kin are called as the program calls them, and what is
 * a coroutine stack is counted when it is mapped and when it is unmapped. Results and errno are the system
 * calls'. All threads, at any time; until observe_open() these pass on.
 */
#ifndef COPOOL_ADAPTER_OBSERVE_H
#define COPOOL_ADAPTER_OBSERVE_H

#include <stddef.h>
#include <sys/types.h>

/* Prepares to count; after request_init() and sites_init(). 0, or -ENOMEM. Then begins. */
int observe_start(void);

void *observe_mmap(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller);
int observe_munmap(void *address, size_t bytes);
int observe_mprotect(void *address, size_t bytes, int protection);
/* The low end of what is mapped at `address` became a guard page. */
void observe_guard(const void *address);

void *observe_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address);

/* In a fork's child: what other threads were doing is not being done any more. */
void observe_fork_child(void);

#endif
