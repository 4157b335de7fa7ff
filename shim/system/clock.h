/* SPDX-License-Identifier: MIT */
/*
 * Time and process as the kernel has them. Other preloads change what libc says of both (libfaketime: the clock,
 * sleeping, the process id), while the kernel goes by its own: so these are system calls, made directly. None is
 * a point of cancellation. All threads; errno survives.
 */
#ifndef COPOOL_SYSTEM_CLOCK_H
#define COPOOL_SYSTEM_CLOCK_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* The kernel's CLOCK_MONOTONIC, by which it measures all waiting. */
struct timespec clock_now(void);

/* The same in milliseconds; it goes on where a process has joined a time namespace in which it is earlier. */
uint64_t clock_now_ms(void);

/* CLOCK_REALTIME. */
struct timespec clock_wall(void);

/* Sleeps, or less when a signal comes. */
void clock_sleep_us(unsigned us);

/* The calling process. */
pid_t clock_pid(void);

#endif
