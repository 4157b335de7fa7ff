/* SPDX-License-Identifier: MIT */
/*
 * Whether a thread has ended. The kernel then clears a word of libc's, meant for pthread_join(). So this also works for
 * detached threads and for the first one.
 */
#ifndef COPOOL_REPORT_THREAD_THREAD_END_H
#define COPOOL_REPORT_THREAD_THREAD_END_H

#include <stdatomic.h>
#include <stdint.h>

struct life {
	_Atomic uint32_t
	        *word;   /* libc's, unmapped with the thread unless it is the first one; NULL: unknown */
	uint32_t number; /* the thread's id, the word's value while it lives */
};

/* Fills in the calling thread's. The word is NULL if the kernel does not tell it. */
void thread_end_know(struct life *life);

/* As thread_end_await(), and then until the kernel no longer knows the thread. */
void thread_end_await_exit(const struct life *life, unsigned wait_ms);

/*
 * Waits until another thread has ended, at most `wait_ms`. By then libc no longer counts it among the process's
 * threads.
 */
void thread_end_await(const struct life *life, unsigned wait_ms);

#endif
