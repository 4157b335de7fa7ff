/* SPDX-License-Identifier: MIT */
#include "report/bell.h"

#include "system/clock.h"
#include "system/sandbox.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void bell_wait(_Atomic uint32_t *word, uint32_t seen, unsigned wait_ms)
{
	struct timespec timeout = {wait_ms / 1000, (long)(wait_ms % 1000) * 1000000};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, wait_ms == UINT_MAX ? NULL : &timeout);
}

void bell_ring(_Atomic uint32_t *word)
{
	/* [bell, step] release: threads that wake see what was done before; pairs with the acquire loads. */
	atomic_fetch_add_explicit(word, 1, memory_order_release);
	if (!sandbox_is_tight())
		syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
}

bool bell_await(_Atomic uint32_t *word, uint32_t times, unsigned wait_ms)
{
	uint64_t now = clock_now_ms(), deadline = now + wait_ms;

	for (; now < deadline; now = clock_now_ms()) {
		/* [step] acquire: pairs with bell_ring. */
		uint32_t seen = atomic_load_explicit(word, memory_order_acquire);

		if (seen >= times)
			return true;
		bell_wait(word, seen, deadline - now);
	}
	return false;
}
