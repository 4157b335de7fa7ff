/* SPDX-License-Identifier: MIT */
/*
 * Time and process id as the kernel has them. Other preloads change what libc says of both (libfaketime: the clock,
 * sleeping, the process id), but the kernel uses its own. So these are direct system calls. None is a cancellation
 * point. All threads; errno survives.
 */
#ifndef COPOOL_SYSTEM_CLOCK_H
#define COPOOL_SYSTEM_CLOCK_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* The kernel's CLOCK_MONOTONIC, which all timeouts use. */
struct timespec clock_now(void);

/* The same in milliseconds. It continues if the process joins a time namespace with a much earlier time. */
uint64_t clock_now_ms(void);

/* CLOCK_REALTIME. */
struct timespec clock_wall(void);

/* Sleeps; a signal may end that early. */
void clock_sleep_us(unsigned us);

/* The id of the calling process. */
pid_t clock_pid(void);

#endif
