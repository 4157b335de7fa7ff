/* SPDX-License-Identifier: MIT */
/*
 * Whether a thread is there still. The kernel clears a word of libc's when a thread has ended, for
 * pthread_join; so it can be known of a detached thread and of the first one, too.
 */
#ifndef COPOOL_REPORT_THREAD_THREAD_END_H
#define COPOOL_REPORT_THREAD_THREAD_END_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

struct life {
	_Atomic uint32_t
	        *word;   /* libc's, and gone with the thread, but for the first one's; NULL: not known */
	uint32_t number; /* what is there while the thread lives */
};

/* The calling thread's; its word is NULL where the kernel does not tell. */
void thread_end_know(struct life *life);

/* The time, on CLOCK_MONOTONIC, until which to wait `wait_ms` from now. */
struct timespec thread_end_deadline(unsigned wait_ms);

/* As thread_end_await, and until the kernel has no trace of it either. */
void thread_end_await_exit(const struct life *life, unsigned wait_ms);

/* Waits until that thread has ended, also for libc, which counts threads; at most `wait_ms`. Not its own. */
void thread_end_await(const struct life *life, unsigned wait_ms);

#endif
