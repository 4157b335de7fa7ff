/* SPDX-License-Identifier: MIT */
/*
 * Reads another process's memory without waiting for ever. A page of it may be one whose fault nobody serves
 * (userfaultfd, a file system in user space), and the system call then ends only on SIGKILL. So a thread makes the
 * call. If that does not return in time it is left behind, and ends with this process.
 */
#ifndef COPOOL_TOOLS_PROCESS_PEEK_H
#define COPOOL_TOOLS_PROCESS_PEEK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PEEK_BYTES = 64 << 10 }; /* at most, at once */

/*
 * Like process_vm_readv and process_vm_writev of one range, until `deadline_ms` of clock_now_ms(). Returns the bytes,
 * or -errno: -ETIMEDOUT, or -EINTR after peek_interrupt. One caller at a time.
 */
ssize_t peek_read(pid_t pid, uint64_t at, void *to, size_t bytes, uint64_t deadline_ms);
ssize_t peek_write(pid_t pid, uint64_t at, const void *from, size_t bytes, uint64_t deadline_ms);

/*
 * Makes the thread call `look`, in which peek_read and the two below run in that thread: to change threads each time
 * would take most of the time of looking into many processes. Returns what `look` returns; or -ETIMEDOUT if it is
 * inside one of the three at its deadline, or -EINTR in the same way. Then it never continues: it must hold nothing
 * while it calls them, and what it has written by then is the caller's. Outside of them `look` is waited for.
 */
int peek_look(int (*look)(void *context), void *context);

/* In a look: sets its deadline; at first there is none. */
void peek_until(uint64_t deadline_ms);

/* open(path, O_RDONLY) and read(fd), for files in /proc, which may wait for the process as well. Or -errno. */
int peek_open(const char *path);
ssize_t peek_get(int fd, void *to, size_t bytes);

/* From now on, waits for nothing. Any thread may call it. */
void peek_interrupt(void);

#endif
