/* SPDX-License-Identifier: MIT */
/*
 * Reading another process's memory without waiting for ever: a page of it may be one whose fault nobody serves
 * (userfaultfd, a file system in user space), and the system call then ends for SIGKILL alone. So a thread makes it,
 * which is left behind when it does not come back in time; it goes with the process.
 */
#ifndef COPOOL_TOOLS_PROCESS_PEEK_H
#define COPOOL_TOOLS_PROCESS_PEEK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PEEK_BYTES = 64 << 10 }; /* at most, at once */

/*
 * As process_vm_readv and process_vm_writev of one range, until `deadline_ms` as peek_now_ms tells the time. The bytes,
 * or -errno: -ETIMEDOUT, or -EINTR after peek_interrupt. One caller at a time.
 */
ssize_t peek_read(pid_t pid, uint64_t at, void *to, size_t bytes, uint64_t deadline_ms);
ssize_t peek_write(pid_t pid, uint64_t at, const void *from, size_t bytes, uint64_t deadline_ms);

/*
 * Has the thread call `look`, in which peek_read and the two below do not go from thread to thread each time: that is
 * what looking into many processes would take most of its time for. What `look` returns; or -ETIMEDOUT when it is inside
 * of one of the three at its deadline, -EINTR likewise, and then it never goes on: it must hold nothing while it calls
 * them, and what it has written by then is the caller's. Between them `look` is waited for.
 */
int peek_look(int (*look)(void *context), void *context);

/* In a look: its deadline from now on; at first there is none. */
void peek_until(uint64_t deadline_ms);

/* open(path, O_RDONLY) and read(fd), of files in /proc, which may wait for the process as well. A number or -errno. */
int peek_open(const char *path);
ssize_t peek_get(int fd, void *to, size_t bytes);

uint64_t peek_now_ms(void);

/* From now on nothing is waited for. Any thread. */
void peek_interrupt(void);

#endif
