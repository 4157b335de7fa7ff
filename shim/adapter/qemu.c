/* SPDX-License-Identifier: MIT */
/*
 * QEMU: its tools, storage daemon and system emulators. Their coroutine functions are bound inside the
 * executable, so they are taken over by patching its code. There are four ways; each is proved before anything is
 * changed, and what fails in one is left to the next:
 *
 *	ending	qemu_coroutine_create is replaced whole, and the instruction of qemu_aio_coroutine_enter
 *		where an ended coroutine would go to QEMU's own pool becomes a jump to ours:
 *
 *	    caller --> qemu_coroutine_create: jmp --> island: a coroutine from the cache, armed (pool/entry_x86.h)
 *	                                               |      create_slow --(miss)--> qemu_coroutine_new
 *	    qemu_aio_coroutine_enter: … jmp ---------> island: into the cache, and back into the loop
 *
 *	switch	for code of another shape from QEMU 9.0 on: create as above; qemu_coroutine_switch is hooked,
 *		keeps a coroutine that has ended, and says that it has yielded
 *	stacks	nothing is patched: QEMU's own pool stays, and the stacks beyond it are recycled (stacks.c)
 *	none	the reason is in the log
 *
 * With the first two QEMU's own pool stays empty, and its lock is never taken: no variable of its is touched. The
 * wake-up queue, the assertion on locks held, tracing, and all errors stay QEMU's own code.
 *
 * qemu_coroutine_new is hooked to count what QEMU makes past us (pool/doubt.h). A coroutine that has ended waits
 * in its trampoline's loop: it can be handed out as it is.
 *
 * To observe, create, new and delete are hooked, and all stays with QEMU's own pool.
 *
 * All threads enter the hooks; `qemu` is written by is_here and attach alone.
 */
#include "adapter/adapter.h"
#include "adapter/program.h"
#include "adapter/qemu_code.h"
#include "adapter/qemu_symbols.h"
#include "adapter/sites.h"
#include "config.h"
#include "patch/decode.h"
#include "patch/patch.h"
#include "pool/doubt.h"
#include "pool/entry_x86.h"
#include "pool/fast_path.h"
#include "pool/limits.h"
#include "pool/pool.h"
#include "pool/tally.h"
#include "system/warn.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

enum { COROUTINES = 0 }; /* the pool's index, a constant on the fast path */

enum { STACK_BYTES = 1 << 20 }; /* of a coroutine, in all versions */

/* The size of QEMU's own pool: a variable from 7.1 on, which starts with the one, and from 9.0 on with the other. */
enum { OWN_POOL = 64, OWN_POOL_FROM_9_0 = 128 };

enum { OTHER_MAPS = 5000 }; /* that QEMU leaves to others when it bounds its pool from 9.0 on */

enum { YIELD = 1, TERMINATE = 2 }; /* QEMU's enum CoroutineAction */

#define WITHDRAWN "QEMU's coroutines end where copool has not found it: they are left to QEMU's own pool"

/* What a coroutine has at its front; the same in 5.2, 7.2, 10.0 and 11.1. */
struct coroutine {
	void (*entry)(void *argument);
	void *entry_argument;
	struct coroutine *caller;
	struct coroutine *pool_next;
	size_t locks_held;
	char scheduling[0x18];
	struct {
		struct coroutine *first;
		struct coroutine *
		        *last; /* where the next one's address goes; &first when the queue is empty */
	} wakeup;
};

_Static_assert(offsetof(struct coroutine, locks_held) == 0x20, "as in QEMU");
_Static_assert(offsetof(struct coroutine, wakeup) == 0x40, "as in QEMU");

typedef struct coroutine *(new_function)(void);
typedef void(delete_function)(struct coroutine *coroutine);
typedef struct coroutine *(create_function)(void (*entry)(void *), void *argument);
typedef int(switch_function)(struct coroutine *from, struct coroutine *to, int action);

static struct {
	struct pool pool;
	struct patch_set patches;
	struct qemu_symbols symbols; /* open from is_here to attach */
	new_function *original_new;
	delete_function *original_delete;
	create_function *original_create;
	switch_function *original_switch;
	const uint16_t *is_traced; /* not 0: QEMU prints a line when a coroutine ends */
} qemu;

static void *make(void *owner)
{
	(void)owner;
	return qemu.original_new();
}

static void destroy(void *owner, void *coroutine)
{
	(void)owner;
	qemu.original_delete(coroutine);
}

static const _Atomic unsigned first_size = OWN_POOL;

/* What QEMU's own pool would have done, which is not used. */
static struct stock stock = {
        .way = STOCK_LISTS,
        .batch = OWN_POOL,
        .size = &first_size,
        .most = UINT_MAX,
        .make_calls = 2,    /* mmap, mprotect */
        .destroy_calls = 1, /* munmap */
};

static const struct pool_kind coroutines = {
        .name = "qemu-coroutine",
        .make = make,
        .destroy = destroy,
        .stock = &stock,
        .object_maps = POOL_OBJECT_MAPS,
        .object_bytes = STACK_BYTES,
};

/* To observe: what QEMU asks of its own pool, and what that one cannot serve. */
static const struct pool_kind observed = {.name = "qemu-coroutine", .is_observed = true};

/* ---- hooks: observe ---- */

static struct coroutine *observe_create(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine = qemu.original_create(entry, argument);

	tally_create(&qemu.pool);
	return coroutine;
}

static struct coroutine *observe_new(void)
{
	struct coroutine *coroutine = qemu.original_new();

	if (coroutine != NULL)
		tally_made(&qemu.pool, coroutine);
	return coroutine;
}

static void observe_delete(struct coroutine *coroutine)
{
	tally_gone(&qemu.pool, coroutine);
	qemu.original_delete(coroutine);
}

/* ---- hooks: pool ---- */

/* What qemu_coroutine_create does to a coroutine that it has got from somewhere. */
static struct coroutine *arm(struct coroutine *coroutine, void (*entry)(void *), void *argument)
{
	coroutine->entry = entry;
	coroutine->entry_argument = argument;
	coroutine->wakeup.first = NULL;
	coroutine->wakeup.last = &coroutine->wakeup.first;
	return coroutine;
}

/* QEMU's own way. What comes of it without qemu_coroutine_new was passed on by us, or has ended past us. */
static struct coroutine *create_by_qemu(void (*entry)(void *), void *argument)
{
	uint64_t made = doubt_made(&qemu.pool);
	struct coroutine *coroutine = qemu.original_create(entry, argument);

	if (doubt_made(&qemu.pool) == made && !pool_is_withdrawn(&qemu.pool) &&
	        !doubt_take_back(&qemu.pool, coroutine)) {
		pool_withdraw(&qemu.pool);
		sites_pool_above(false);
		warn_later(WITHDRAWN);
	}
	return coroutine;
}

static struct coroutine *create_miss(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine;

	if (doubt_is_due(&qemu.pool))
		return create_by_qemu(entry, argument);
	coroutine = pool_make(&qemu.pool);
	return coroutine != NULL ? arm(coroutine, entry, argument) : NULL;
}

/* Where the thread's cache cannot serve. */
static struct coroutine *create_slow(void (*entry)(void *), void *argument, struct cache *cache, int64_t top)
{
	struct coroutine *coroutine = pool_take_slow(&qemu.pool, cache, top);

	return coroutine != NULL ? arm(coroutine, entry, argument) : create_miss(entry, argument);
}

/* All of it, where there is no machine code of ours for the fast path. */
static struct coroutine *hook_create(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine = pool_take(&qemu.pool, COROUTINES);

	return coroutine != NULL ? arm(coroutine, entry, argument) : create_miss(entry, argument);
}

/*
 * The coroutine stays in this thread's cache: the caller still reads its wake-up queue, before this thread can
 * create another. So where the cache cannot have it, it ends QEMU's way.
 */
static int hook_switch(struct coroutine *from, struct coroutine *to, int action)
{
	int result = qemu.original_switch(from, to, action);

	if (result != TERMINATE)
		return result;
	if (to->locks_held == 0 && *qemu.is_traced == 0) {
		to->caller = NULL;
		if (pool_keep(&qemu.pool, COROUTINES, to))
			return YIELD;
	}
	doubt_pass_on(&qemu.pool, to);
	return result;
}

/* ---- planning ---- */

static int refuse(const char *name, const char *reason)
{
	patch_refuse(&qemu.patches, name, reason);
	return -ENOTSUP;
}

static int plan(const char *name, const struct symbol *function, void *hook, void *original)
{
	return function->address != NULL ? patch_plan(&qemu.patches, name, function, hook, original)
	                                 : refuse(name, "it was not found");
}

/* qemu_coroutine_create as a whole, and new to count. */
static int plan_create(const struct qemu_callers *callers)
{
	const struct decode_code code = patch_code(&qemu.symbols.create);
	const char *reason = qemu_code_create(&code);
	uint8_t bytes[ENTRY_CODE_BYTES];
	size_t count;
	int error;

	if (reason == NULL)
		reason = qemu_code_only_create(callers, &code);
	if (reason != NULL)
		return refuse("qemu_coroutine_create", reason);
	count = entry_get(bytes, COROUTINES,
	        &(struct entry_arming){qemu_code_arm, qemu_code_arm_bytes, (const void *)create_slow});
	if (count != 0)
		error = patch_plan_code(&qemu.patches, "qemu_coroutine_create", &qemu.symbols.create, bytes,
		        count, (void **)&qemu.original_create);
	else
		error = plan(
		        "qemu_coroutine_create", &qemu.symbols.create, hook_create, &qemu.original_create);
	if (error == 0)
		error = plan("qemu_coroutine_new", &qemu.symbols.new, observe_new, &qemu.original_new);
	return error;
}

/* The instruction where a coroutine ends. */
static int plan_ending(const struct qemu_callers *callers)
{
	const struct decode_code code = patch_code(&qemu.symbols.enter);
	const uintptr_t switch_at = (uintptr_t)qemu.symbols.switching.address;
	struct entry_place place;
	struct patch_place patch;
	struct qemu_ending ending;
	uint8_t bytes[ENTRY_CODE_BYTES];
	const char *reason = qemu_code_ending(&code, switch_at, &ending);
	size_t count;

	if (reason == NULL)
		reason = qemu_code_only_enter(callers, &code);
	if (reason != NULL)
		return refuse("qemu_aio_coroutine_enter", reason);
	place = (struct entry_place){code.bytes + ending.at, ending.length, ending.object};
	patch = (struct patch_place){.at = ending.at, .goes_on = ending.next};
	count = entry_put(bytes, &qemu.pool, COROUTINES, &place, patch.exit, &patch.exits);
	if (count == 0)
		return refuse("qemu_aio_coroutine_enter", "there is no code for this processor");
	return patch_plan_inside(
	        &qemu.patches, "qemu_aio_coroutine_enter", &qemu.symbols.enter, &patch, bytes, count);
}

/* The variable that has the size of QEMU's own pool; NULL: there is none that we know. */
static const _Atomic unsigned *own_pool_size(void)
{
	struct decode_code code;
	uint64_t address;

	if (qemu.symbols.dec_pool_size.address == NULL)
		return NULL;
	code = patch_code(&qemu.symbols.dec_pool_size);
	if (decode_rip_operand(&code, &address) != DECODE_FINE || address % sizeof(unsigned) != 0 ||
	        !symbols_is_writable(&qemu.symbols.tables, (void *)(uintptr_t)address, sizeof(unsigned)))
		return NULL;
	return (const _Atomic unsigned *)(uintptr_t)address;
}

/* While it has its first value: whether QEMU is of 9.0 or later. */
static bool has_batches(void)
{
	const _Atomic unsigned *size = own_pool_size();

	return size != NULL && *(const unsigned *)size == OWN_POOL_FROM_9_0;
}

/* Which pool of QEMU's own ours stands for. Without a variable it is as it was before there was one. */
static void know_stock(void)
{
	const _Atomic unsigned *size = own_pool_size();
	unsigned long maps = limits_max_maps();

	if (size != NULL)
		stock.size = size;
	if (!has_batches())
		return;
	stock.way = STOCK_BATCHES;
	stock.batch = OWN_POOL_FROM_9_0;
	stock.most = maps > OTHER_MAPS ? (unsigned)(maps - OTHER_MAPS) / POOL_OBJECT_MAPS : 0;
}

/* Before 9.0 this way is slower than QEMU's own. */
static int plan_switch(void)
{
	if (!has_batches() || qemu.symbols.traced.address == NULL)
		return -ENOTSUP;
	qemu.is_traced = qemu.symbols.traced.address;
	return plan("qemu_coroutine_switch", &qemu.symbols.switching, hook_switch, &qemu.original_switch);
}

/* Plans what only counts. */
static int plan_observer(struct adapter_outcome *outcome)
{
	const struct decode_code delete = patch_code(&qemu.symbols.delete);
	int error;

	if (!qemu_code_is_called(&delete))
		return refuse("qemu_coroutine_delete",
		        "nothing calls it: a compiler has put copies of it elsewhere");
	error = plan("qemu_coroutine_create", &qemu.symbols.create, observe_create, &qemu.original_create);
	if (error == 0)
		error = plan("qemu_coroutine_new", &qemu.symbols.new, observe_new, &qemu.original_new);
	if (error == 0)
		error = plan(
		        "qemu_coroutine_delete", &qemu.symbols.delete, observe_delete, &qemu.original_delete);
	outcome->mode = "observe";
	outcome->way = "observe";
	adapter_say(outcome, "QEMU's coroutines are counted, and left to its own pool");
	return error;
}

/* Plans the first way that can be had, and says what it will have done. */
static int plan_pool(struct adapter_outcome *outcome)
{
	const struct decode_code enter = patch_code(&qemu.symbols.enter);
	char reason[PATCH_REASON_BYTES];
	struct qemu_callers callers;
	int error;

	qemu_code_callers(&enter, (uintptr_t)qemu.symbols.new.address,
	        (uintptr_t)qemu.symbols.switching.address, (uintptr_t)qemu.symbols.delete.address, &callers);
	error = plan_create(&callers);
	if (error != 0)
		return error;
	qemu.original_delete = (delete_function *)qemu.symbols.delete.address;
	know_stock();
	outcome->mode = "pool";
	error = plan_ending(&callers);
	if (error == 0) {
		outcome->way = "ending";
		adapter_say(outcome, "QEMU's coroutines are pooled, and its own pool is not used");
		return 0;
	}
	memcpy(reason, qemu.patches.reason, sizeof reason);
	error = plan_switch();
	if (error == 0) {
		outcome->way = "switch";
		adapter_say(outcome,
		        "QEMU's coroutines are pooled, and its own pool is not used; they are taken when "
		        "they switch back (%s)",
		        reason);
	} else {
		memcpy(qemu.patches.reason, reason, sizeof reason);
	}
	return error;
}

/* ---- attaching ---- */

static int start_pool(const struct config *config)
{
	const struct pool_kind *kind = config->mode == CONFIG_MODE_OBSERVE ? &observed : &coroutines;
	int index = pool_start(&qemu.pool, kind, NULL, config->max_batches);

	return index == COROUTINES ? 0 : -ENOSPC;
}

static const char *refusal(int error)
{
	switch (error) {
	case -ENOENT:
		return "a function that would have to be patched was not found";
	case -ELIBACC:
		return "the library Zydis, which reads its code, was not found";
	case -EBUSY:
		return "the program was running already";
	case -ELIBBAD:
		return "the library Zydis is of a version that is not known";
	default:
		return warn_reason(-error);
	}
}

static int plan_and_commit(const struct config *config, struct adapter_outcome *outcome)
{
	int error = decode_open();

	if (error != 0)
		return error == -ENOENT ? -ELIBACC : error;
	error = config->mode == CONFIG_MODE_OBSERVE ? plan_observer(outcome) : plan_pool(outcome);
	decode_close();
	if (error == 0)
		error = start_pool(config);
	if (error != 0)
		return error;
	error = patch_commit(&qemu.patches);
	if (error != 0)
		pool_unstart(&qemu.pool);
	return error;
}

static bool is_here(const struct config *config)
{
	return qemu_symbols_open(&qemu.symbols, config->host == CONFIG_HOST_QEMU);
}

static bool know_range(const struct symbol *function)
{
	uintptr_t low = (uintptr_t)function->address;

	return low != 0 && function->size != 0 && sites_know("qemu", low, low + function->size);
}

/* Where its stacks come from, for host stacks: by name, or to be learned. */
static void know_stacks(struct adapter_outcome *outcome)
{
	bool is_known = know_range(&qemu.symbols.alloc_stack);

	if (is_known)
		know_range(&qemu.symbols.new); /* a compiler may have put the one into the other */
	outcome->has_stacks = is_known || qemu_is_called_so();
	outcome->learn_bytes = is_known ? 0 : STACK_BYTES + getauxval(AT_PAGESZ);
}

static int attach(const struct config *config, struct adapter_outcome *outcome)
{
	int error = -ENOENT;

	/* Where the user insists, nobody has asked whether it is here. */
	if (!qemu_symbols_open(&qemu.symbols, config->host == CONFIG_HOST_QEMU)) {
		outcome->is_another = true;
		adapter_say(outcome, "this is not QEMU: it has none of its functions");
		return -ENOENT;
	}
	patch_begin(&qemu.patches);
	if (qemu_symbols_find(&qemu.symbols))
		error = program_is_starting() ? plan_and_commit(config, outcome) : -EBUSY;
	know_stacks(outcome);
	sites_pool_above(error == 0 && config->mode != CONFIG_MODE_OBSERVE);
	if (error != 0) {
		outcome->mode = outcome->way = "none";
		adapter_say(outcome, "QEMU's coroutines are left to its own pool: %s",
		        qemu.patches.reason[0] != '\0' ? qemu.patches.reason : refusal(error));
		patch_revert(&qemu.patches);
	}
	qemu_symbols_close(&qemu.symbols);
	return error;
}

const struct adapter adapter_qemu = {
        .name = "qemu", .is_here = is_here, .attach = attach, .withdrawn = WITHDRAWN};
