/* SPDX-License-Identifier: MIT */
/*
 * The adapter for QEMU: its tools, storage daemon and system emulators. Their coroutine functions are bound inside
 * the executable, so their code must be patched. There are four ways. Each is checked before anything is changed; if
 * a way is impossible, the next one is tried:
 *
 *	ending	qemu_coroutine_create is replaced whole. The instruction of qemu_aio_coroutine_enter
 *		that would give an ended coroutine to QEMU's own pool becomes a jump to ours:
 *
 *	    caller --> qemu_coroutine_create: jmp --> island: a coroutine from the cache, armed (pool/entry.h)
 *	                                               |      qemu_create_slow --(miss)--> qemu_coroutine_new
 *	    qemu_aio_coroutine_enter: … jmp ---------> island: into the cache, and back into the loop
 *
 *	switch	for code of another shape from QEMU 9.0 on: create as above; qemu_coroutine_switch is hooked,
 *		keeps a coroutine that has ended, and returns that it has yielded
 *	stacks	nothing is patched: QEMU's own pool stays, and the stacks beneath it are recycled (stacks.c)
 *	none	the reason is in the log
 *
 * With the first two, QEMU's own pool stays empty and its lock is never taken: no variable of QEMU's is written. The
 * wake-up queue, the assertion on locks held, tracing and all errors stay QEMU's own code. qemu_coroutine_new is
 * hooked to count what QEMU makes without us (pool/doubt.h).
 *
 * To observe, create, new and delete are hooked, and QEMU's own pool keeps all.
 *
 * `qemu` is written by is_here and attach alone.
 */
#include "adapter/adapter.h"

#include "adapter/program.h"
#include "adapter/qemu_code.h"
#include "adapter/qemu_hooks.h"
#include "adapter/qemu_label.h"
#include "adapter/qemu_symbols.h"
#include "adapter/sites.h"
#include "config.h"
#include "patch/decode.h"
#include "patch/patch.h"
#include "pool/entry.h"
#include "pool/fast_path.h"
#include "pool/limits.h"
#include "pool/pool.h"
#include "system/warn.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

enum { OTHER_MAPS = 5000 }; /* that QEMU leaves to others when it limits its pool from 9.0 on */

static struct {
	struct patch_set patches;
	struct qemu_symbols symbols; /* open from is_here to attach */
} qemu;

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

/* Plans the replacement of qemu_coroutine_create, and the hook of new, which counts. */
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
	count = entry_get(bytes, QEMU_POOL,
	        &(struct entry_arming){qemu_code_arm, qemu_code_arm_bytes, (const void *)qemu_create_slow});
	if (count != 0)
		error = patch_plan_code(&qemu.patches, "qemu_coroutine_create", &qemu.symbols.create, bytes,
		        count, (void **)&qemu_hooks.original_create);
	else
		error = plan("qemu_coroutine_create", &qemu.symbols.create, qemu_hook_create,
		        &qemu_hooks.original_create);
	if (error == 0)
		error = plan(
		        "qemu_coroutine_new", &qemu.symbols.new, qemu_observe_new, &qemu_hooks.original_new);
	return error;
}

/* Plans the jump at the instruction where a coroutine ends. */
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
	count = entry_put(bytes, &qemu_hooks.pool, QEMU_POOL, &place, patch.exit, &patch.exits);
	return patch_plan_inside(
	        &qemu.patches, "qemu_aio_coroutine_enter", &qemu.symbols.enter, &patch, bytes, count);
}

/* The variable with the size of QEMU's own pool; NULL: there is none that is known. */
static const _Atomic unsigned *own_pool_size(void)
{
	struct decode_code code;
	uint64_t address;

	if (qemu.symbols.dec_pool_size.address == NULL)
		return NULL;
	code = patch_code(&qemu.symbols.dec_pool_size);
	if (decode_operand(&code, &address) != DECODE_FINE || address % sizeof(unsigned) != 0 ||
	        !symbols_is_writable(&qemu.symbols.tables, (void *)(uintptr_t)address, sizeof(unsigned)))
		return NULL;
	return (const _Atomic unsigned *)(uintptr_t)address;
}

/* Whether QEMU is 9.0 or later, by the variable's first value. */
static bool has_batches(void)
{
	const _Atomic unsigned *size = own_pool_size();

	return size != NULL && *(const unsigned *)size == QEMU_OWN_POOL_BATCHES;
}

/* Describes the pool of QEMU's own that ours replaces. Without the variable it is the one of before 7.1. */
static void know_stock(void)
{
	const _Atomic unsigned *size = own_pool_size();
	unsigned long maps = limits_max_maps();

	if (size != NULL)
		qemu_stock.size = size;
	if (!has_batches())
		return;
	qemu_stock.way = STOCK_BATCHES;
	qemu_stock.batch = QEMU_OWN_POOL_BATCHES;
	qemu_stock.most = maps > OTHER_MAPS ? (unsigned)(maps - OTHER_MAPS) / POOL_OBJECT_MAPS : 0;
}

/* Before 9.0 this way is slower than QEMU's own. */
static int plan_switch(void)
{
	if (!has_batches() || qemu.symbols.traced.address == NULL)
		return -ENOTSUP;
	qemu_hooks.is_traced = qemu.symbols.traced.address;
	return plan("qemu_coroutine_switch", &qemu.symbols.switching, qemu_hook_switch,
	        &qemu_hooks.original_switch);
}

/* Plans the hooks that only count. */
static int plan_observer(struct adapter_outcome *outcome)
{
	const struct decode_code delete = patch_code(&qemu.symbols.delete);
	int error;

	if (!qemu_code_is_called(&delete))
		return refuse("qemu_coroutine_delete",
		        "nothing calls it: a compiler has put copies of it elsewhere");
	error = plan("qemu_coroutine_create", &qemu.symbols.create, qemu_observe_create,
	        &qemu_hooks.original_create);
	if (error == 0)
		error = plan(
		        "qemu_coroutine_new", &qemu.symbols.new, qemu_observe_new, &qemu_hooks.original_new);
	if (error == 0)
		error = plan("qemu_coroutine_delete", &qemu.symbols.delete, qemu_observe_delete,
		        &qemu_hooks.original_delete);
	outcome->mode = "observe";
	outcome->way = "observe";
	adapter_say(outcome, "QEMU's coroutines are counted, and left to its own pool");
	return error;
}

/* Plans the first way that is possible, and says what it does. */
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
	qemu_hooks.original_delete = (qemu_delete *)qemu.symbols.delete.address;
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
		        "QEMU's coroutines are pooled, and its own pool is not used; they are taken when they switch back (%s)",
		        reason);
	} else {
		memcpy(qemu.patches.reason, reason, sizeof reason);
	}
	return error;
}

/* ---- attaching ---- */

static int start_pool(const struct config *config)
{
	const struct pool_kind *kind =
	        config->mode == CONFIG_MODE_OBSERVE ? &qemu_observed : &qemu_coroutines;
	int index = pool_start(&qemu_hooks.pool, kind, NULL, config->max_batches);

	return index == QEMU_POOL ? 0 : -ENOSPC;
}

static const char *refusal(int error)
{
	switch (error) {
	case -ENOENT:
		return "a function that would have to be patched was not found";
	case -ELIBACC:
		return "the library Zydis, which reads its code, was not found";
	case -EACCES:
		return "the library Zydis, which reads its code, may not be opened (Permission denied)";
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
		pool_unstart(&qemu_hooks.pool);
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

/* Tells the adapter for stacks where QEMU's come from: by name, or to be learned. */
static void know_stacks(struct adapter_outcome *outcome)
{
	bool is_known = know_range(&qemu.symbols.alloc_stack);

	if (is_known)
		know_range(&qemu.symbols.new); /* a compiler may have inlined the one in the other */
	outcome->has_stacks = is_known || qemu_is_called_so();
	outcome->learn_bytes = is_known ? 0 : QEMU_STACK_BYTES + getauxval(AT_PAGESZ);
}

static int attach(const struct config *config, struct adapter_outcome *outcome)
{
	int error = -ENOENT;

	/* If the user insists on QEMU, is_here was not called. */
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
        .name = "qemu",
        .starts_at_once = true, /* `-sandbox on` may forbid it to start a thread later */
        .is_here = is_here,
        .attach = attach,
        .is_called_so = qemu_is_called_so,
        .find_label = qemu_label_find,
        .withdrawn = QEMU_WITHDRAWN,
};
