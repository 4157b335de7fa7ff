/*
 * QEMU: its tools, storage daemon and system emulators. Their coroutine functions are bound inside the
 * executable, so they are interposed by patching their entries:
 *
 *	caller --> qemu_coroutine_new: jmp --> island: the fast path of pool_get (pool/front.h)
 *	                                         |     pool_get_slow --(miss)--> make --> original_new
 *
 * Where there is no such code for the processor, the island leads to hook_new, which does the same.
 *
 * QEMU keeps a pool of its own in front of these. Its size is a variable that only
 * qemu_coroutine_dec_pool_size names for us; set to 0, every create and destroy comes to us:
 *
 *	               its pool's size     what is hooked
 *	to 6.1         fixed               new, delete: "overflow", its own pool stays above ours
 *	6.2 to 9.0     variable, 64        new, delete, inc, dec
 *	from 9.1       variable, 128       the same and create, as a thread keeps up to two batches of
 *	                                   128 itself
 *
 * To observe, create, new and delete are hooked in all versions, and the variable stays.
 *
 * A coroutine that qemu_coroutine_delete receives has terminated and waits in its trampoline's loop: it can
 * be handed out by qemu_coroutine_new as it is. All threads enter the hooks; `qemu` is written by attach
 * alone.
 */
#include "host/host.h"

#include "config.h"
#include "host/program.h"
#include "libc/warn.h"
#include "patch/decode.h"
#include "patch/patch.h"
#include "patch/symbols.h"
#include "pool/front.h"
#include "pool/pool.h"
#include "pool/tally.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { COROUTINES = 0 }; /* the pool's index, a constant on the fast path */

enum { STACK_BYTES = 1 << 20 }; /* of a coroutine, in all versions */

enum { SIZE_FROM_6_2 = 64, SIZE_FROM_9_1 = 128 };

/* What a coroutine has at its front; the same in 5.2, 7.2, 10.0 and 11.1. */
struct coroutine {
	void (*entry)(void *argument);
	void *entry_argument;
	struct coroutine *caller;
	struct coroutine *pool_next;
	char locks_and_scheduling[0x20];
	struct {
		struct coroutine *first;
		struct coroutine *
		        *last; /* where the next one's address goes; &first when the queue is empty */
	} wakeup;
};

_Static_assert(offsetof(struct coroutine, wakeup) == 0x40, "as in QEMU");

typedef struct coroutine *(new_function)(void);
typedef void(delete_function)(struct coroutine *coroutine);
typedef struct coroutine *(create_function)(void (*entry)(void *), void *argument);

static struct {
	struct pool pool;
	struct patch_set patches;
	new_function *original_new;
	delete_function *original_delete;
	create_function *original_create;
	void *original_inc, *original_dec; /* never called: they would bring QEMU's own pool back */
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

static const struct pool_kind coroutines = {
        .name = "qemu-coroutine",
        .make = make,
        .destroy = destroy,
        .make_calls = 2,    /* mmap, mprotect */
        .destroy_calls = 1, /* munmap */
        .object_maps = POOL_OBJECT_MAPS,
        .object_bytes = STACK_BYTES,
};

/* To observe: what QEMU asks of its own pool, and what that one cannot serve. */
static const struct pool_kind observed = {.name = "qemu-coroutine", .is_observed = true};

static struct coroutine *observe_create(void (*entry)(void *), void *argument)
{
	tally_create(&qemu.pool);
	return qemu.original_create(entry, argument);
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

static struct coroutine *hook_new(void)
{
	return pool_get(&qemu.pool, COROUTINES);
}

static void hook_delete(struct coroutine *coroutine)
{
	pool_put(&qemu.pool, COROUTINES, coroutine);
}

/* From 9.1: ours first, as QEMU's own way takes a lock or touches its batches. */
static struct coroutine *hook_create(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine = pool_take(&qemu.pool, COROUTINES);

	if (coroutine == NULL)
		return qemu.original_create(entry, argument);
	coroutine->entry = entry;
	coroutine->entry_argument = argument;
	coroutine->wakeup.first = NULL;
	coroutine->wakeup.last = &coroutine->wakeup.first;
	return coroutine;
}

static void hook_inc_pool_size(unsigned change)
{
	pool_hint(&qemu.pool, (int)change);
}

static void hook_dec_pool_size(unsigned change)
{
	pool_hint(&qemu.pool, -(int)change);
}

static const char *refusal(int error)
{
	switch (error) {
	case -ENOENT:
		return "a function that would have to be patched, or the library Zydis, was not found";
	case -ELIBBAD:
		return "the library Zydis is of a version that is not known";
	default:
		return warn_reason(-error);
	}
}

/* Plans a patch of a function that the program has. */
static int plan(const struct symbols *symbols, const char *name, void *hook, void *original)
{
	struct symbol symbol;
	int error = symbols_find(symbols, name, ELF_FUNCTION, &symbol);

	return error != 0 ? error : patch_plan(&qemu.patches, name, &symbol, hook, original);
}

/* The same for the two that serve from the cache before anything else. */
static int plan_front(const struct symbols *symbols, const char *name,
        size_t (*front)(uint8_t[FRONT_BYTES], struct pool *, unsigned), void *hook, void *original)
{
	uint8_t code[FRONT_BYTES];
	size_t bytes = front(code, &qemu.pool, COROUTINES);
	struct symbol symbol;
	int error;

	if (bytes == 0)
		return plan(symbols, name, hook, original);
	error = symbols_find(symbols, name, ELF_FUNCTION, &symbol);
	return error != 0 ? error : patch_plan_code(&qemu.patches, name, &symbol, code, bytes, original);
}

/* Finds the variable that holds the size of QEMU's own pool; NULL: there is none that we know. */
static int *find_pool_size(const struct symbols *symbols)
{
	struct decode_code code;
	struct symbol dec;
	uint64_t address;
	int *size;

	if (symbols_find(symbols, "qemu_coroutine_dec_pool_size", ELF_FUNCTION, &dec) != 0)
		return NULL;
	code = patch_code(&dec);
	if (decode_rip_operand(&code, &address) != DECODE_FINE)
		return NULL;
	size = (int *)(uintptr_t)address;
	if (address % sizeof *size != 0 || !symbols_is_writable(symbols, size, sizeof *size))
		return NULL;
	return *size == SIZE_FROM_6_2 || *size == SIZE_FROM_9_1 ? size : NULL;
}

/* Plans to switch QEMU's own pool off. What cannot be planned leaves the plan as it was, but for the reason.
 */
static int plan_takeover(const struct symbols *symbols, int *size)
{
	struct patch_set saved = qemu.patches;
	int error;

	error = plan(symbols, "qemu_coroutine_inc_pool_size", hook_inc_pool_size, &qemu.original_inc);
	if (error == 0)
		error = plan(symbols, "qemu_coroutine_dec_pool_size", hook_dec_pool_size, &qemu.original_dec);
	if (error == 0 && *size == SIZE_FROM_9_1)
		error = plan(symbols, "qemu_coroutine_create", hook_create, &qemu.original_create);
	if (error == 0)
		error = patch_plan_word(&qemu.patches, size, *size, 0);
	if (error != 0) {
		memcpy(saved.reason, qemu.patches.reason, sizeof saved.reason);
		qemu.patches = saved;
	}
	return error;
}

/* Plans what only counts. */
static int plan_observer(const struct symbols *symbols, struct host_outcome *outcome)
{
	int error = plan(symbols, "qemu_coroutine_create", observe_create, &qemu.original_create);

	if (error == 0)
		error = plan(symbols, "qemu_coroutine_new", observe_new, &qemu.original_new);
	if (error == 0)
		error = plan(symbols, "qemu_coroutine_delete", observe_delete, &qemu.original_delete);
	outcome->mode = "observe";
	host_say(outcome, "QEMU's coroutines are counted, and left to its own pool");
	return error;
}

/* Plans all patches, and says what they will have done. */
static int plan_pool(const struct symbols *symbols, struct host_outcome *outcome)
{
	int error, *size;

	error = plan_front(symbols, "qemu_coroutine_new", front_get, hook_new, &qemu.original_new);
	if (error == 0)
		error = plan_front(
		        symbols, "qemu_coroutine_delete", front_put, hook_delete, &qemu.original_delete);
	if (error != 0)
		return error;
	size = find_pool_size(symbols);
	if (size != NULL && plan_takeover(symbols, size) == 0) {
		outcome->mode = "pool";
		host_say(outcome, "QEMU's coroutines are pooled; its own pool of %d is switched off", *size);
		return 0;
	}
	outcome->mode = "overflow";
	host_say(outcome, "QEMU's own pool stays above this one, which gets what overflows it: %s",
	        size == NULL ? "no variable with its size was found" : qemu.patches.reason);
	return 0;
}

static int start_pool(const struct config *config)
{
	unsigned cap = config->max_batches == CONFIG_DERIVED ? POOL_CAP_AUTO : config->max_batches;
	const struct pool_kind *kind = config->mode == CONFIG_MODE_OBSERVE ? &observed : &coroutines;
	int index = pool_start(&qemu.pool, kind, NULL, cap);

	return index == COROUTINES ? 0 : -ENOSPC;
}

static void say_why_not(struct host_outcome *outcome, int error)
{
	outcome->mode = "none";
	host_say(outcome, "QEMU's coroutines are left alone: %s",
	        qemu.patches.reason[0] != '\0' ? qemu.patches.reason : refusal(error));
}

static int attach_to(const struct symbols *symbols, const struct config *config, struct host_outcome *outcome)
{
	int error = decode_open();

	patch_begin(&qemu.patches);
	if (error != 0) {
		say_why_not(outcome, error);
		return error;
	}
	error = config->mode == CONFIG_MODE_OBSERVE ? plan_observer(symbols, outcome)
	                                            : plan_pool(symbols, outcome);
	decode_close();
	if (error == 0)
		error = start_pool(config);
	if (error == 0)
		error = patch_commit(&qemu.patches);
	if (error != 0) {
		say_why_not(outcome, error);
		patch_revert(&qemu.patches);
	}
	return error;
}

/* Whether the program has what we patch; its own file is only read when there is reason to hope. */
static bool has_symbols(struct symbols *symbols, bool may_open_files)
{
	struct symbol symbol;

	if (symbols_find(symbols, "qemu_coroutine_new", ELF_FUNCTION, &symbol) == 0)
		return true;
	return may_open_files && symbols_open_files(symbols, SYMBOLS_DEBUG_ROOT) == 0 &&
	       symbols_find(symbols, "qemu_coroutine_new", ELF_FUNCTION, &symbol) == 0;
}

static bool may_open_files(const struct config *config)
{
	return config->host == CONFIG_HOST_QEMU || strncmp(program_invocation_short_name, "qemu", 4) == 0;
}

static bool is_here(const struct config *config)
{
	struct symbols symbols;
	bool found;

	if (symbols_open(&symbols) != 0)
		return false;
	found = has_symbols(&symbols, may_open_files(config));
	symbols_close(&symbols);
	return found;
}

static int attach(const struct config *config, struct host_outcome *outcome)
{
	struct symbols symbols;
	int error;

	if (!program_is_starting()) {
		host_say(outcome, "QEMU's coroutines are left alone: the program was running already");
		return -EBUSY;
	}
	error = symbols_open(&symbols);
	if (error != 0) {
		host_say(outcome, "the program's headers make no sense");
		return error;
	}
	if (has_symbols(&symbols, true)) {
		error = attach_to(&symbols, config, outcome);
	} else {
		error = -ENOENT;
		say_why_not(outcome, error);
	}
	symbols_close(&symbols);
	return error;
}

static bool holds(uintptr_t address)
{
	return patch_holds(&qemu.patches, address);
}

const struct host host_qemu = {"qemu", is_here, attach, NULL, holds};
