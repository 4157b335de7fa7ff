/* SPDX-License-Identifier: MIT */
/* A general allocator: whichever is preloaded, or else glibc's. */
#include "pools.h"

#include <dlfcn.h>
#include <stdlib.h>

static void *take(void)
{
	return malloc(OBJECT_BYTES);
}

/* A library that is missing is no error to the loader. */
static bool start(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload == NULL || dlopen(preload, RTLD_NOLOAD | RTLD_LAZY) != NULL;
}

/* Through the PLT, as every program calls them. */
#define take_called() malloc(OBJECT_BYTES)
#define put_called    free
#define ONLY_CALLED
#include "patterns.h"

const struct contender malloc_free = {
        .name = "malloc",
        .start = start,
        .take = take,
        .put = free,
        .take_entry = (void *)malloc,
        .put_entry = (void *)free,
        .called = patterns_called,
};
