/* SPDX-License-Identifier: MIT */
/* A coroutine that has ended waits in its trampoline's loop, so that it can be handed out as it is. */
#include "adapter/qemu_hooks.h"

#include "adapter/sites.h"
#include "pool/doubt.h"
#include "pool/fast_path.h"
#include "pool/tally.h"
#include "system/warn.h"

#include <limits.h>
#include <stddef.h>

enum { YIELD = 1, TERMINATE = 2 }; /* QEMU's enum CoroutineAction */

/* The beginning of QEMU's struct Coroutine; the same in 5.2, 7.2, 10.0 and 11.1. */
struct coroutine {
	void (*entry)(void *argument);
	void *entry_argument;
	struct coroutine *caller;
	struct coroutine *pool_next;
	size_t locks_held;
	char scheduling[0x18];
	struct {
		struct coroutine *first;
		struct coroutine **last; /* where the next one's address goes; &first if the queue is empty */
	} wakeup;
};

_Static_assert(offsetof(struct coroutine, locks_held) == 0x20, "as in QEMU");
_Static_assert(offsetof(struct coroutine, wakeup) == 0x40, "as in QEMU");

struct qemu_hooks qemu_hooks;

static void *make(void *owner)
{
	(void)owner;
	return qemu_hooks.original_new();
}

static void destroy(void *owner, void *coroutine)
{
	(void)owner;
	qemu_hooks.original_delete(coroutine);
}

static const _Atomic unsigned first_size = QEMU_OWN_POOL;

struct stock qemu_stock = {
        .way = STOCK_LISTS,
        .batch = QEMU_OWN_POOL,
        .size = &first_size,
        .most = UINT_MAX,
        .make_calls = 2,    /* mmap, mprotect */
        .destroy_calls = 1, /* munmap */
};

const struct pool_kind qemu_coroutines = {
        .name = "qemu-coroutine",
        .owner_name = "qemu",
        .make = make,
        .destroy = destroy,
        .stock = &qemu_stock,
        .object_maps = POOL_OBJECT_MAPS,
        .object_bytes = QEMU_STACK_BYTES,
};

const struct pool_kind qemu_observed = {.name = "qemu-coroutine", .owner_name = "qemu", .is_observed = true};

/* ---- observe ---- */

struct coroutine *qemu_observe_create(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine = qemu_hooks.original_create(entry, argument);

	tally_create(&qemu_hooks.pool);
	return coroutine;
}

struct coroutine *qemu_observe_new(void)
{
	struct coroutine *coroutine = qemu_hooks.original_new();

	if (coroutine != NULL)
		tally_made(&qemu_hooks.pool, coroutine);
	return coroutine;
}

void qemu_observe_delete(struct coroutine *coroutine)
{
	tally_gone(&qemu_hooks.pool, coroutine);
	qemu_hooks.original_delete(coroutine);
}

/* ---- pool ---- */

/* What qemu_coroutine_create does to a coroutine, wherever it comes from. */
static struct coroutine *arm(struct coroutine *coroutine, void (*entry)(void *), void *argument)
{
	coroutine->entry = entry;
	coroutine->entry_argument = argument;
	coroutine->wakeup.first = NULL;
	coroutine->wakeup.last = &coroutine->wakeup.first;
	return coroutine;
}

/*
 * Creates in QEMU's own way. A coroutine that did not come from qemu_coroutine_new came from QEMU's own pool: either
 * we have passed it on, or it has ended where we do not see it.
 */
static struct coroutine *create_by_qemu(void (*entry)(void *), void *argument)
{
	uint64_t made = doubt_made(&qemu_hooks.pool);
	struct coroutine *coroutine = qemu_hooks.original_create(entry, argument);

	if (doubt_made(&qemu_hooks.pool) == made && !pool_is_withdrawn(&qemu_hooks.pool) &&
	        !doubt_take_back(&qemu_hooks.pool, coroutine)) {
		pool_withdraw(&qemu_hooks.pool);
		sites_pool_above(false);
		warn_later(QEMU_WITHDRAWN);
	}
	return coroutine;
}

static struct coroutine *create_miss(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine;

	if (doubt_is_due(&qemu_hooks.pool))
		return create_by_qemu(entry, argument);
	coroutine = pool_make(&qemu_hooks.pool);
	return coroutine != NULL ? arm(coroutine, entry, argument) : NULL;
}

struct coroutine *qemu_create_slow(void (*entry)(void *), void *argument, struct cache *cache, int64_t top)
{
	struct coroutine *coroutine = pool_take_slow(&qemu_hooks.pool, cache, top);

	return coroutine != NULL ? arm(coroutine, entry, argument) : create_miss(entry, argument);
}

struct coroutine *qemu_hook_create(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine = pool_take(&qemu_hooks.pool, QEMU_POOL);

	return coroutine != NULL ? arm(coroutine, entry, argument) : create_miss(entry, argument);
}

/*
 * The coroutine must stay in this thread's cache: the caller reads its wake-up queue before this thread can create
 * another one. If the cache cannot keep it, it ends in QEMU's own way.
 */
int qemu_hook_switch(struct coroutine *from, struct coroutine *to, int action)
{
	int result = qemu_hooks.original_switch(from, to, action);

	if (result != TERMINATE)
		return result;
	if (to->locks_held == 0 && *qemu_hooks.is_traced == 0) {
		to->caller = NULL;
		if (pool_keep(&qemu_hooks.pool, QEMU_POOL, to))
			return YIELD;
	}
	doubt_pass_on(&qemu_hooks.pool, to);
	return result;
}
