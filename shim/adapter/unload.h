/* SPDX-License-Identifier: MIT */
/*
 * Libraries that the program unloads. Another library may be loaded in the same place, so that calls return to
 * addresses of which something is known. So what is known of an address is valid as long as nothing was unloaded
 * since. Then it is checked again, by a thread that runs code at that address, which therefore stays.
 *
 * One word for the process: how many dlclose() are under way, and from UNLOAD_SHIFT on how many have ended. All
 * threads.
 */
#ifndef COPOOL_ADAPTER_UNLOAD_H
#define COPOOL_ADAPTER_UNLOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { UNLOAD_SHIFT = 32 };

extern _Atomic uint64_t unload_word;

static inline uint64_t unload_now(void)
{
	/*
	 * [unload.word] relaxed: a thread in code that was loaded since holds or held the loader's lock after the
	 * beginning of the dlclose() that made room for it.
	 */
	return atomic_load_explicit(&unload_word, memory_order_relaxed);
}

/* Whether what was found at `now` stays valid until unload_now() changes. False: a dlclose() is under way. */
static inline bool unload_is_settled(uint64_t now)
{
	return (uint32_t)now == 0;
}

#endif
