/* SPDX-License-Identifier: MIT */
/*
 * A futex as a bell: any thread may ring it, without waiting, and others wait for it. A thread that wakes sees what was
 * done before the ring.
 */
#ifndef COPOOL_REPORT_BELL_H
#define COPOOL_REPORT_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Adds one to the word and wakes all that wait for it. In a sandbox that would kill the process for it, wakes none. */
void bell_ring(_Atomic uint32_t *word);

/* Waits while the word is `seen`, until it is rung, at most `wait_ms` (UINT_MAX: for ever). May return early. */
void bell_wait(_Atomic uint32_t *word, uint32_t seen, unsigned wait_ms);

/* Waits until the word was rung `times` times, at most `wait_ms`. Returns whether it was. */
bool bell_await(_Atomic uint32_t *word, uint32_t times, unsigned wait_ms);

#endif
