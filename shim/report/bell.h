/* Words that threads wait for: to ring one is to add one to it. Neither the ringing nor a wait takes a lock. */
#ifndef COPOOL_REPORT_BELL_H
#define COPOOL_REPORT_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Waits while the word is `seen`, at most `wait_ms`; UINT_MAX: as long as that is. May return early. */
void bell_wait(_Atomic uint32_t *bell, uint32_t seen, unsigned wait_ms);

/* Where a sandbox might kill for it nobody is woken: who waits has to look. */
void bell_ring(_Atomic uint32_t *bell);

/* Waits until it has been rung up to `value`, at most `wait_ms`; false: it has not. */
bool bell_await(_Atomic uint32_t *bell, uint32_t value, unsigned wait_ms);

#endif
