/* SPDX-License-Identifier: MIT */
/*
 * The thread that began the process. If it ends while others go on, the statistics thread must not keep the process
 * alive. report.c detects pthread_exit(); only this file detects a bare exit system call.
 */
#ifndef COPOOL_REPORT_THREAD_MAIN_THREAD_H
#define COPOOL_REPORT_THREAD_MAIN_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* That thread calls it: in the constructor, and in a fork's child. */
void main_thread_know(void);

/* It is not known which thread it is. */
void main_thread_forget(void);

/* Whether it has ended; false if that cannot be known. */
bool main_thread_has_ended(void);

/*
 * Waits while `bell` is `seen`, until it is rung, that thread ends, or `wait_ms` have passed (UINT_MAX: for ever). May
 * return early.
 */
void main_thread_wait(_Atomic uint32_t *bell, uint32_t seen, unsigned wait_ms);

/*
 * The calling thread is the statistics thread and about to end. If it is the last one, ends it with the first thread's
 * exit status: since Linux 5.17 the last thread's status is the process's.
 */
void main_thread_follow(void);

#endif
