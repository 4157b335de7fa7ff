/* SPDX-License-Identifier: MIT */
/*
 * The thread that began the process. Where it ends, and others go on, ours must not be what keeps the process
 * alive: pthread_exit() is heard of elsewhere, the system call itself only here.
 */
#ifndef COPOOL_REPORT_THREAD_MAIN_THREAD_H
#define COPOOL_REPORT_THREAD_MAIN_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* Called in that thread: in the constructor, and in a fork's child. */
void main_thread_know(void);

/* Nobody knows which one it is. */
void main_thread_forget(void);

/* Whether it has ended; false where that cannot be known. */
bool main_thread_has_ended(void);

/*
 * Waits until `bell` is no longer `seen` and is rung, or that thread ends, or `wait_ms` have passed
 * (UINT_MAX: for ever).
 */
void main_thread_wait(_Atomic uint32_t *bell, uint32_t seen, unsigned wait_ms);

/*
 * The calling thread, ours, is about to end. Where it is the last one, it ends here and now, with the status
 * that the first had: since Linux 5.17 the last one's is the process's.
 */
void main_thread_follow(void);

#endif
