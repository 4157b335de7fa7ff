/* SPDX-License-Identifier: MIT */
/*
 * An adapter makes copool work for one kind of program. It knows the program's functions and objects, owns the pools,
 * and takes the program over. There is one `const struct adapter` for each; shim.c lists them in the order in which
 * it asks, and attaches the first that fits. Adapters never include each other's headers.
 *
 * A new adapter has a file adapter/NAME.c, a line in the Makefile, a declaration below and an entry in shim.c. What
 * it usually needs:
 *
 *	patch/symbols.h		finds the program's functions by name
 *	patch/decode.h		decode_open() before a patch is planned, decode_close() after
 *	patch/patch.h		replaces functions: patch_begin, patch_plan for each, patch_commit; patch_revert on failure
 *	pool/pool.h		the pool: describe the objects by a struct pool_kind, pool_start in attach; then
 *				pool_get and pool_put in the hooks
 *	tables/handles.h	remembers which objects are ours
 *	adapter/program.h	program_is_starting(): code may only be patched before the program runs
 *
 * Hooks run in any thread, also in signal handlers and in the children of a fork, and must preserve errno.
 * adapter/named.c is a whole adapter in one file.
 */
#ifndef COPOOL_ADAPTER_ADAPTER_H
#define COPOOL_ADAPTER_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

enum { ADAPTER_DETAIL_BYTES = 384 };

/* The outcome of attach, for the log. Zeroed by the caller, but for the fields that say so. */
struct adapter_outcome {
	bool is_another;  /* the adapter: not attached, because the program is of another kind */
	bool is_waiting;  /* the adapter: nothing is pooled yet, and perhaps never, so no thread is needed */
	bool is_late;     /* the caller: the program is already running, with its threads */
	const char *mode; /* "pool", "observe", or "none" if not attached, as report/record.h has them */
	const char *way;  /* how that is done: a word of report/record.h */
	char detail[ADAPTER_DETAIL_BYTES]; /* a sentence on what was done, or why not; see adapter_say */

	/*
	 * The program's stacks come from mmap as well, so that the adapter for stacks can help beside this one, or
	 * instead of it if this one could not be attached. The caller sets both fields for the adapter for stacks.
	 */
	bool has_stacks;
	size_t learn_bytes; /* the stacks have this size, and their call site is to be learned; 0: it is known */

	unsigned cap; /* batches in each depot, if the pools start later and the adapter knows it; else 0 */
};

struct adapter {
	const char *name; /* the word of COPOOL_HOST, and in the log */

	/*
	 * The adapter is only ever attached because the user named the program's functions. Other programs inherit
	 * the settings, so that a program without these functions is no failure.
	 */
	bool is_users_choice;

	/*
	 * Statistics start when the adapter is attached, not with the first object: the program may forbid that
	 * later.
	 */
	bool starts_at_once;

	/*
	 * Returns whether the running program is of this kind. Called at every start of every program, so it must
	 * cost next to nothing if the answer is no: it opens no file. Not called if COPOOL_HOST names this adapter.
	 */
	bool (*is_here)(const struct config *config);

	/*
	 * Takes the program over. Returns 0; or -errno, and the program is unchanged. Fills in `outcome` in both
	 * cases. Called once, from the constructor, before the program's own code runs (unless outcome->is_late).
	 */
	int (*attach)(const struct config *config, struct adapter_outcome *outcome);

	/*
	 * For a program in which nothing is found at start: calls `come` once if something appears later. `come`
	 * attaches the adapter and returns whether that worked. The adapter calls it in any thread, with signals
	 * blocked and without holding a lock. NULL: the adapter does not wait.
	 */
	void (*wait)(bool (*come)(void));

	/*
	 * Whether the program has the name of one of this kind, which alone says that its arguments can be asked for a
	 * label. Called first of all, at every start of every program. NULL: names say nothing.
	 */
	bool (*is_called_so)(void);

	/*
	 * Writes to `label` (`bytes`, with its zero) what the program's arguments call this instance, or "".
	 * `arguments` is argv, or NULL. NULL: they say nothing.
	 */
	void (*find_label)(char *const *arguments, char *label, size_t bytes);

	/* Called in a fork's child, after the pools, whether the adapter is attached or not. NULL: nothing to do. */
	void (*fork_child)(void);

	/*
	 * The outcome's detail after one of the pools was withdrawn (pool/doubt.h). NULL: the adapter withdraws none.
	 */
	const char *withdrawn;
};

extern const struct adapter adapter_named, adapter_qemu, adapter_stacks;

/* Writes the outcome's detail, as printf does. */
__attribute__((format(printf, 2, 3))) void adapter_say(
        struct adapter_outcome *outcome, const char *format, ...);

#endif
