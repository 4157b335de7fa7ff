/* SPDX-License-Identifier: MIT */
/* What QEMU's coroutines look like to its code. For qemu_code_x86.c and qemu_code_aarch64.c. */
#ifndef COPOOL_ADAPTER_QEMU_COROUTINE_H
#define COPOOL_ADAPTER_QEMU_COROUTINE_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets in struct Coroutine; the same in all releases from 5.2 to 11.1. */
enum {
	ENTRY = 0x00,
	ARGUMENT = 0x08,
	CALLER = 0x10,
	POOL_NEXT = 0x18,
	LOCKS_HELD = 0x20,
	WAKEUP_FIRST = 0x40,
	WAKEUP_LAST = 0x48,
};

enum { YIELD = 1, TERMINATE = 2, ENTER = 3 }; /* QEMU's enum CoroutineAction */

/* The words of a coroutine that a store sets, one bit each. */
enum {
	ARMED = 0xf, /* all that qemu_coroutine_create sets */
	POOL_LINK = 1 << 4,
	OTHERS = 1 << 5, /* an unknown word, or a part of one */
};

/* The words that a store of `bytes` bytes at `displacement` sets. */
static inline unsigned qemu_words(int32_t displacement, unsigned bytes)
{
	static const int32_t word[] = {ENTRY, ARGUMENT, WAKEUP_FIRST, WAKEUP_LAST, POOL_NEXT};
	unsigned set = bytes < 8 ? OTHERS : 0;

	for (int32_t at = 0; at < (int32_t)bytes; at += 8) {
		unsigned i = 0;

		while (i < sizeof word / sizeof *word && word[i] != displacement + at)
			i++;
		set |= 1u << i;
	}
	return set;
}

/* Whether a coroutine is armed, after these words of it were set. */
static inline bool qemu_is_armed(unsigned set)
{
	return (set & ARMED) == ARMED && (set & ~(ARMED | POOL_LINK)) == 0;
}

#endif
