/* SPDX-License-Identifier: MIT */
/* Counts before and after: while dlclose runs, the library's destructors may still ask for stacks. */
#include "adapter/unload.h"

#include "libc/real.h"

_Atomic uint64_t unload_word;

static void count(uint64_t change)
{
	/* [unload.word] acq_rel: must not move across the loader's work. */
	atomic_fetch_add_explicit(&unload_word, change, memory_order_acq_rel);
}

int hook_dlclose(void *library)
{
	int result;

	count(1);
	result = real_dlclose(library);
	count(((uint64_t)1 << UNLOAD_SHIFT) - 1);
	return result;
}
