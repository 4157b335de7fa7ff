/* SPDX-License-Identifier: MIT */
/*
 * Libraries that the program unloads: another may come to lie where one was, and its calls return to addresses of which
 * something is known. So what is known of an address holds as long as nothing has been unloaded since; then it is looked at
 * again, by a thread that is in the code there, which therefore stays.
 *
 * One word for the process: dlclose() that are under way, and from UNLOAD_SHIFT on how many have been. All threads.
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
	 * [unload.word] relaxed: who runs code that was loaded since has the loader's lock between that and the beginning
	 * of the dlclose() that made room for it.
	 */
	return atomic_load_explicit(&unload_word, memory_order_relaxed);
}

/* What was looked at when it was `now` need not be again as long as it is so; false: what goes may not have gone yet. */
static inline bool unload_is_settled(uint64_t now)
{
	return (uint32_t)now == 0;
}

/* dlclose(3). */
int hook_dlclose(void *library);

#endif
