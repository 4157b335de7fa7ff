/* SPDX-License-Identifier: MIT */
/*
 * The libc functions beneath ours. The shim's own code calls these and never the exported names, so that
 * nothing recurses through a hook by accident. Three names a function: `mmap` exported, `hook_mmap` ours,
 * `real_mmap` the original.
 *
 * Until real_init() has run they are plain system calls; afterwards they are the next object's functions in
 * symbol order, so that another preload beneath us still sees them. All threads may call them at any time.
 */
#ifndef COPOOL_LIBC_REAL_H
#define COPOOL_LIBC_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Looks up the next object's functions; called once, from the constructor. */
void real_init(void);

/* As in mmap(2), munmap(2), mprotect(2), madvise(2), mremap(2): results and errno are theirs. */
void *real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int real_munmap(void *address, size_t bytes);
int real_mprotect(void *address, size_t bytes, int protection);
int real_pkey_mprotect(void *address, size_t bytes, int protection, int key); /* -1: none, mprotect */
int real_madvise(void *address, size_t bytes, int advice);
void *real_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address);

/* The same for advice of the shim's own: EPERM in a sandbox that would kill for it. */
int real_own_madvise(void *address, size_t bytes, int advice);

/* As in mlock(2), mlock2(2), mlockall(2). */
int real_mlock(const void *address, size_t bytes);
int real_mlock2(const void *address, size_t bytes, unsigned flags);
int real_mlockall(int flags);

/* As in unshare(2), setns(2). */
int real_unshare(int flags);
int real_setns(int fd, int type);

/* As in capset(2): a struct __user_cap_header_struct, and two __user_cap_data_struct in its third version. */
int real_capset(void *header, const void *data);
int real_setuid(uid_t user);
int real_seteuid(uid_t user);
int real_setreuid(uid_t real, uid_t effective);
int real_setresuid(uid_t real, uid_t effective, uid_t saved);

/* As in ioctl(2), with what lies where its argument would; process_madvise(2). */
int real_ioctl(int fd, unsigned long request, void *argument);
ssize_t real_process_madvise(
        int process, const struct iovec *range, size_t ranges, int advice, unsigned flags);

/* As in prctl(2). */
int real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

/* Whether the program, or a library that it was started with, has such a function for all to see. */
bool real_has(const char *function);

/* As in dlclose(3). */
int real_dlclose(void *library);

/*
 * Private zeroed memory for the shim's own tables. `bytes` is rounded up to whole pages. Returns NULL when
 * the system has none. real_table_free gives it back; hardly anything does, since slow threads may still read
 * a table. errno is left as it was by both.
 */
void *real_table(size_t bytes);
void real_table_free(void *table, size_t bytes);

#endif
