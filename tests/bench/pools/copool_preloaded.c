/*
 * copool as its users have it: this program exports QEMU's coroutine functions, libcopool.so is preloaded and
 * patches their entries, and every call goes through the jump.
 */
#include "pools.h"

#include <stdlib.h>
#include <string.h>

/* At the front of QEMU's; the host `qemu` looks no further. */
void *qemu_coroutine_new(void);
void qemu_coroutine_delete(void *coroutine);
void qemu_coroutine_inc_pool_size(unsigned change);
void qemu_coroutine_dec_pool_size(unsigned change);

static int pool_size = 64; /* what the host sets to 0 */

APART void *qemu_coroutine_new(void)
{
	return object_make();
}

APART void qemu_coroutine_delete(void *coroutine)
{
	object_destroy(coroutine);
}

APART void qemu_coroutine_inc_pool_size(unsigned change)
{
	__atomic_fetch_add(&pool_size, (int)change, __ATOMIC_SEQ_CST);
}

APART void qemu_coroutine_dec_pool_size(unsigned change)
{
	__atomic_fetch_sub(&pool_size, (int)change, __ATOMIC_SEQ_CST);
}

static bool start(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "libcopool.so") != NULL && pool_size == 0;
}

#define take_called qemu_coroutine_new
#define put_called  qemu_coroutine_delete
#define ONLY_CALLED
#include "patterns.h"

const struct contender copool_preloaded = {
        .name = "copool, preloaded",
        .start = start,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .called = patterns_called,
};
