/* SPDX-License-Identifier: MIT */
/*
 * What runs in place of QEMU's coroutine functions, and the pool that serves it. adapter/qemu.c decides which of the
 * hooks are used, and sets the original functions. All threads call the hooks.
 */
#ifndef COPOOL_ADAPTER_QEMU_HOOKS_H
#define COPOOL_ADAPTER_QEMU_HOOKS_H

#include <stdint.h>

#include "pool/pool.h"

struct cache;
struct coroutine;

enum { QEMU_POOL = 0 }; /* the pool's index, a constant on the fast path */

enum { QEMU_STACK_BYTES = 1 << 20 }; /* of a coroutine, in all versions */

/*
 * The size of QEMU's own pool: a variable from 7.1 on. Its first value; and from 9.0 on, when the pool has batches.
 */
enum { QEMU_OWN_POOL = 64, QEMU_OWN_POOL_BATCHES = 128 };

#define QEMU_WITHDRAWN "QEMU's coroutines end where copool has not found it: they are left to QEMU's own pool"

typedef struct coroutine *(qemu_new)(void);
typedef void(qemu_delete)(struct coroutine *coroutine);
typedef struct coroutine *(qemu_create)(void (*entry)(void *), void *argument);
typedef int(qemu_switch)(struct coroutine *from, struct coroutine *to, int action);

/* Written by adapter/qemu.c alone, before any hook can run. */
struct qemu_hooks {
	struct pool pool;
	qemu_new *original_new;
	qemu_delete *original_delete;
	qemu_create *original_create;
	qemu_switch *original_switch;
	const uint16_t *is_traced; /* not 0: QEMU prints a line when a coroutine ends */
};

extern struct qemu_hooks qemu_hooks __attribute__((visibility("hidden")));

/* What QEMU's own pool would have done, which is not used; and the pool in its place. */
extern struct stock qemu_stock;
extern const struct pool_kind qemu_coroutines;

/* To observe: what QEMU asks of its own pool, and what that pool cannot serve. */
extern const struct pool_kind qemu_observed;

qemu_create qemu_observe_create;
qemu_new qemu_observe_new;
qemu_delete qemu_observe_delete;

/* To pool: all of create; the part of it that the machine code leaves to C; and the switch. */
qemu_create qemu_hook_create;
struct coroutine *qemu_create_slow(void (*entry)(void *), void *argument, struct cache *cache, int64_t top);
qemu_switch qemu_hook_switch;

#endif
