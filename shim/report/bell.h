/* SPDX-License-Identifier: MIT */
/*
 * A word that anybody may ring without waiting, by adding one, and that others wait for. What was done before it was rung is
 * seen by who wakes.
 */
#ifndef COPOOL_REPORT_BELL_H
#define COPOOL_REPORT_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Any thread; in a sandbox that would kill for it nobody is woken. */
void bell_ring(_Atomic uint32_t *word);

/* Waits until it is no longer `seen` and is rung, at most `wait_ms`; UINT_MAX: for ever. May come back early. */
void bell_wait(_Atomic uint32_t *word, uint32_t seen, unsigned wait_ms);

/* Waits until it has been rung `times` times, at most `wait_ms`; false: it has not. */
bool bell_await(_Atomic uint32_t *word, uint32_t times, unsigned wait_ms);

#endif
