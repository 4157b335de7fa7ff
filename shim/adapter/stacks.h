/* SPDX-License-Identifier: MIT */
/*
 * What the exported mmap and its kin do. Each is exactly the libc function of its name, results and errno
 * included, for every mapping that is not one of our stacks, and to be told from it only by speed for those
 * that are. All threads, at any time: before our constructor and after our destructor they pass on.
 */
#ifndef COPOOL_ADAPTER_STACKS_H
#define COPOOL_ADAPTER_STACKS_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* `caller` is where the program called from. */
void *hook_mmap(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller);
int hook_munmap(void *address, size_t bytes);
int hook_mprotect(void *address, size_t bytes, int protection);
int hook_pkey_mprotect(void *address, size_t bytes, int protection, int key);
int hook_madvise(void *address, size_t bytes, int advice);
void *hook_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address);
int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int hook_mlock(const void *address, size_t bytes);
int hook_mlock2(const void *address, size_t bytes, unsigned flags);
int hook_mlockall(int flags);
int hook_ioctl(int fd, unsigned long request, void *argument);
ssize_t hook_process_madvise(
        int process, const struct iovec *range, size_t ranges, int advice, unsigned flags);

#endif
