/* SPDX-License-Identifier: MIT */
/*
 * The worked example of .github/CONTRIBUTING.md: an adapter for one program, tests/programs/named.c, whose box_make() returns a
 * box and whose box_drop() takes it back. tests/26-example.bats builds it into a copy of the library.
 *
 *	program --> box_make: jmp --> hook_make: pool_get --(miss)--> make: the program's own box_make
 *	program --> box_drop: jmp --> hook_drop: pool_put --(full)--> destroy: the program's own box_drop
 *
 * attach() alone writes `example`. All threads enter the hooks.
 */
#include "adapter/adapter.h"

#include "config.h"
#include "adapter/program.h"
#include "patch/decode.h"
#include "patch/patch.h"
#include "patch/symbols.h"
#include "pool/fast_path.h"
#include "pool/pool.h"
#include "system/self.h"
#include "system/warn.h"

#include <errno.h>
#include <string.h>

static struct {
	struct pool pool;
	struct patch_set patches;
	void *(*original_make)(void); /* the program's own code, behind its patched entry */
	void (*original_drop)(void *box);
} example;

/* ---- what the pool calls: on a miss, and for what it does not keep ---- */

static void *make(void *owner)
{
	(void)owner;
	return example.original_make();
}

static void destroy(void *owner, void *box)
{
	(void)owner;
	example.original_drop(box);
}

static const struct pool_kind boxes = {.name = "box", .make = make, .destroy = destroy};

/* ---- what the program calls ---- */

static void *hook_make(void)
{
	return pool_get(&example.pool, example.pool.index);
}

/* As the program's own function, it accepts NULL. */
static void hook_drop(void *box)
{
	if (box != NULL)
		pool_put(&example.pool, example.pool.index, box);
}

/* ---- attaching ---- */

static int plan(const struct symbols *symbols, const char *name, void *hook, void *original)
{
	struct symbol function;
	int error = symbols_find(symbols, name, ELF_FUNCTION, &function);

	return error != 0 ? error : patch_plan(&example.patches, name, &function, hook, original);
}

/* Reads the program's symbols and code, and changes nothing. */
static int plan_all(void)
{
	struct symbols symbols;
	int error = symbols_open(&symbols);

	if (error != 0)
		return error;
	symbols_open_files(&symbols, SYMBOLS_DEBUG_ROOT);
	error = decode_open();
	if (error == 0)
		error = plan(&symbols, "box_make", hook_make, &example.original_make);
	if (error == 0)
		error = plan(&symbols, "box_drop", hook_drop, &example.original_drop);
	decode_close();
	symbols_close(&symbols);
	return error;
}

/* Asked in every program that has the preload: so only the name is looked at. */
static bool is_here(const struct config *config)
{
	(void)config;
	return strcmp(self_name(), "named") == 0;
}

static int attach(const struct config *config, struct adapter_outcome *outcome)
{
	int error = -EBUSY; /* another thread may be inside the functions */

	patch_begin(&example.patches);
	if (config->mode == CONFIG_MODE_OBSERVE)
		error = -ENOTSUP; /* its hooks cannot only count, as those of named.c can */
	else if (program_is_starting())
		error = plan_all();
	if (error == 0)
		error = pool_start(&example.pool, &boxes, NULL, config->max_batches) < 0 ? -ENOSPC : 0;
	if (error == 0 && (error = patch_commit(&example.patches)) != 0)
		pool_unstart(&example.pool);
	if (error != 0) {
		patch_revert(&example.patches);
		adapter_say(outcome, "boxes are left to the program: %s",
		        example.patches.reason[0] != '\0' ? example.patches.reason : warn_reason(-error));
		return error;
	}
	outcome->mode = "pool";
	outcome->way = "named";
	adapter_say(outcome, "boxes are pooled");
	return 0;
}

const struct adapter adapter_example = {.name = "example", .is_here = is_here, .attach = attach};
