/* SPDX-License-Identifier: MIT */
/*
 * The adapter for stacks in observe mode: mmap and its relatives do what the program asks, and coroutine stacks are
 * counted when they are mapped and unmapped. Results and errno are the system calls'. All threads, at any time after
 * observe_start().
 */
#ifndef COPOOL_ADAPTER_OBSERVE_H
#define COPOOL_ADAPTER_OBSERVE_H

#include <stddef.h>
#include <sys/types.h>

/* Prepares to count; after request_init() and sites_init(). 0 or -ENOMEM. */
int observe_start(void);

void *observe_mmap(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller);
int observe_munmap(void *address, size_t bytes);
int observe_mprotect(void *address, size_t bytes, int protection);
/* The low end of the mapping at `address` has become a guard page. */
void observe_guard(const void *address);

void *observe_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address);

/* In a fork's child: ends what other threads were doing. */
void observe_fork_child(void);

#endif
