/* SPDX-License-Identifier: MIT */
/*
 * The adapter for any program with a function that creates something and returns its handle, and one that destroys
 * what a handle names: COPOOL_CREATE=symbol/N, COPOOL_DESTROY=symbol. N is how many integer arguments create takes,
 * at most six. Objects that were created with different arguments are different, so each combination has its own
 * pool. Without N all six registers count, which is never wrong but misses more often.
 *
 * This suits frameworks that create first and arm later. The user must know that a destroyed object is as good as a
 * new one.
 *
 * Also the model of an adapter that patches two functions.
 */
#include "adapter/adapter.h"
#include "adapter/program.h"
#include "config.h"
#include "libc/elsewhere.h"
#include "patch/decode.h"
#include "patch/patch.h"
#include "patch/symbols.h"
#include "pool/fast_path.h"
#include "pool/pool.h"
#include "pool/tally.h"
#include "system/warn.h"
#include "tables/handles.h"
#include "tables/roster.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/single_threaded.h>

enum { ARGUMENTS = 6 };

typedef void *(create_function)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

/* Objects that were created with the same arguments. */
struct named_class {
	uintptr_t argument[ARGUMENTS]; /* 0 behind the first `arguments` */
	struct pool pool;
	struct pool_kind kind;
	char name[128];
};

static char create_name[sizeof((struct config *)0)->create]; /* written by attach */

static struct {
	unsigned arguments; /* written by attach, as all fields up to `handles` */
	unsigned max_batches;
	bool is_observing;
	struct patch_set patches;
	create_function *original_create;
	create_function *original_destroy; /* called with all registers, however many it uses */
	struct handles *handles;

	struct named_class class[POOL_MAX];
	struct roster classes;
} named;

static void *make(void *owner)
{
	struct named_class *class = owner;
	const uintptr_t *a = class->argument;
	void *object = named.original_create(a[0], a[1], a[2], a[3], a[4], a[5]);

	/* hook_create checks whether the table had room. */
	if (object != NULL)
		handles_add(named.handles, object, class->pool.index);
	return object;
}

static void destroy(void *owner, void *object)
{
	(void)owner;
	handles_remove(named.handles, object);
	named.original_destroy((uintptr_t)object, 0, 0, 0, 0, 0);
}

/*
 * If the table has no room for an object, hook_destroy does not know it and leaves it to the program. So it is the
 * program's from the start, and counts as destroyed when it is made. errno survives.
 */
static void hand_through(struct pool *pool, void *object)
{
	tally_gone(pool, object);
	warn_once(
	        "%s has returned %p, which cannot be remembered: such objects are not pooled, and count as destroyed at once",
	        create_name, object);
}

static struct named_class *find_class(const uintptr_t *argument)
{
	unsigned classes = roster_count(&named.classes);

	for (unsigned i = 0; i < classes; i++) {
		if (memcmp(named.class[i].argument, argument, sizeof named.class[i].argument) == 0)
			return &named.class[i];
	}
	return NULL;
}

/* "create(64, 3)"; a long list is cut. */
static void name_class(struct named_class *class)
{
	size_t used = snprintf(class->name, sizeof class->name, "%.64s(", create_name);

	for (unsigned i = 0; i < named.arguments && used < sizeof class->name; i++)
		used += snprintf(class->name + used, sizeof class->name - used, i == 0 ? "%#lx" : ", %#lx",
		        (unsigned long)class->argument[i]);
	if (used < sizeof class->name - 1)
		strcpy(class->name + used, ")");
	pool_make_unique(class->name, sizeof class->name);
}

/* Sets up the next class. NULL: there are too many. */
static struct named_class *start_class(unsigned number, const uintptr_t *argument)
{
	struct named_class *class = &named.class[number];

	if (number == POOL_MAX) {
		warn_once(
		        "%s is called with more than %d combinations of arguments: objects of further ones are not pooled",
		        create_name, POOL_MAX);
		return NULL;
	}
	memcpy(class->argument, argument, sizeof class->argument);
	name_class(class);
	class->kind = (struct pool_kind){
	        .name = class->name,
	        .owner_name = "named",
	        .make = make,
	        .destroy = destroy,
	        .is_observed = named.is_observing,
	        .object_maps = POOL_OBJECT_MAPS,
	};
	return pool_start(&class->pool, &class->kind, class, named.max_batches) >= 0 ? class : NULL;
}

/* Adds a class for these arguments. NULL: there are too many, or another thread is adding one. */
static void *add_class(const void *argument)
{
	struct named_class *class;
	unsigned number;

	if (!roster_begin(&named.classes))
		return NULL;
	number = roster_count(&named.classes);
	class = find_class(argument);
	if (class == NULL) {
		class = start_class(number, argument);
		number += class != NULL;
	}
	roster_end(&named.classes, number);
	return class;
}

/* The class of these arguments; sets the registers that are none to 0. NULL as from add_class. */
static struct named_class *class_of(uintptr_t *argument)
{
	struct named_class *class;

	for (unsigned i = named.arguments; i < ARGUMENTS; i++)
		argument[i] = 0;
	class = find_class(argument);
	return class != NULL ? class : elsewhere_call(add_class, argument);
}

static void *hook_create(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f)
{
	uintptr_t argument[ARGUMENTS] = {a, b, c, d, e, f};
	struct named_class *class = class_of(argument);
	void *object;

	if (class == NULL)
		return named.original_create(a, b, c, d, e, f);
	object = pool_take(&class->pool, class->pool.index);
	if (object != NULL)
		return object;
	object = pool_make(&class->pool);
	if (object != NULL && handles_find(named.handles, object) == HANDLES_ABSENT)
		hand_through(&class->pool, object);
	return object;
}

static void *hook_destroy(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f)
{
	void *object = (void *)a;
	int index = object != NULL ? handles_find(named.handles, object) : HANDLES_ABSENT;

	if (index == HANDLES_ABSENT)
		return named.original_destroy(a, b, c, d, e, f);
	pool_put(pool_at(index), index, object);
	return NULL;
}

/* To observe: the program's functions are called with all registers. */
static void *observe_create(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f)
{
	uintptr_t argument[ARGUMENTS] = {a, b, c, d, e, f};
	void *object = named.original_create(a, b, c, d, e, f);
	int saved = errno;
	struct named_class *class = object != NULL ? class_of(argument) : NULL;

	if (class != NULL) {
		tally_made(&class->pool, object);
		tally_create(&class->pool);
		if (!handles_add(named.handles, object, class->pool.index))
			hand_through(&class->pool, object);
	}
	errno = saved;
	return object;
}

static void *observe_destroy(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f)
{
	void *object = (void *)a;
	int index = object != NULL ? handles_find(named.handles, object) : HANDLES_ABSENT;

	if (index != HANDLES_ABSENT) {
		handles_remove(named.handles, object);
		tally_gone(pool_at(index), object);
	}
	return named.original_destroy(a, b, c, d, e, f);
}

/* Splits "symbol/N". */
static void read_create(const char *setting)
{
	const char *slash = strrchr(setting, '/');
	char name[SETTINGS_SOURCE_BYTES];

	named.arguments = ARGUMENTS;
	if (slash != NULL && slash[1] >= '0' && slash[1] <= '0' + ARGUMENTS && slash[2] == '\0')
		named.arguments = slash[1] - '0';
	else if (slash != NULL)
		warn("%s=%s: the number of arguments is 0 to 6; all six registers count",
		        config_called(SETTING_create, name), setting);
	else
		warn("%s=%s: without a number of arguments (%s/N) all six registers count: more creates will miss",
		        config_called(SETTING_create, name), setting, setting);
	snprintf(create_name, sizeof create_name, "%.*s",
	        slash != NULL ? (int)(slash - setting) : (int)sizeof create_name - 1, setting);
}

/* See decode_leads_away(). Only the user can know how the callers were compiled. */
static void warn_of_leaf(const char *name, const struct symbol *symbol)
{
	const struct decode_code code = patch_code(symbol);

	if (!decode_leads_away(&code))
		warn("%s calls nothing outside of its file: the program breaks if callers there rely on registers that it leaves unchanged (gcc's -fipa-ra, part of -O2)",
		        name);
}

/* Plans the patch of a function of the program; or of a library, if no other thread can be inside the library. */
static int plan(const struct symbols *symbols, const char *name, void *hook, void *original,
        struct adapter_outcome *outcome)
{
	struct symbol symbol;
	int error = symbols_find(symbols, name, ELF_FUNCTION, &symbol);

	if (error == -ENOENT && __libc_single_threaded)
		error = symbols_find_loaded(name, ELF_FUNCTION, &symbol);
	if (error != 0)
		adapter_say(outcome, "nothing is pooled: the function %s was not found%s", name,
		        error == -ENOTUNIQ ? ", or more than one of that name" : "");
	else if ((error = patch_plan(&named.patches, name, &symbol, hook, original)) != 0)
		adapter_say(outcome, "nothing is pooled: %s", named.patches.reason);
	else
		warn_of_leaf(name, &symbol);
	return error;
}

/* Whether neither function is there. If only one is, the user has made a mistake. */
static bool is_another(const struct symbols *symbols, const char *destroy_name)
{
	struct symbol symbol;

	return symbols_find(symbols, create_name, ELF_FUNCTION, &symbol) == -ENOENT &&
	       symbols_find(symbols, destroy_name, ELF_FUNCTION, &symbol) == -ENOENT;
}

static int plan_all(const char *destroy_name, struct adapter_outcome *outcome)
{
	struct symbols symbols;
	int error = symbols_open(&symbols);

	if (error != 0)
		return error;
	symbols_open_files(&symbols, SYMBOLS_DEBUG_ROOT);
	error = decode_open();
	if (error != 0)
		adapter_say(outcome,
		        "nothing is pooled: the library Zydis is missing, may not be opened, or is of an unknown version");
	if (error == 0)
		error = plan(&symbols, create_name, named.is_observing ? observe_create : hook_create,
		        &named.original_create, outcome);
	if (error == 0)
		error = plan(&symbols, destroy_name, named.is_observing ? observe_destroy : hook_destroy,
		        &named.original_destroy, outcome);
	outcome->is_another = error != 0 && is_another(&symbols, destroy_name);
	symbols_close(&symbols);
	return error;
}

static int attach(const struct config *config, struct adapter_outcome *outcome)
{
	int error;

	if (config->create[0] == '\0' || config->destroy[0] == '\0') {
		adapter_say(outcome,
		        "nothing is pooled: COPOOL_CREATE and COPOOL_DESTROY must name a function each");
		return -EINVAL;
	}
	if (!program_is_starting()) {
		adapter_say(outcome, "nothing is pooled: the program was running already");
		return -EBUSY;
	}
	read_create(config->create);
	named.max_batches = config->max_batches;
	named.is_observing = config->mode == CONFIG_MODE_OBSERVE;
	named.handles = handles_make();
	if (named.handles == NULL)
		return -ENOMEM;
	patch_begin(&named.patches);
	error = plan_all(config->destroy, outcome);
	decode_close();
	if (error == 0 && (error = patch_commit(&named.patches)) != 0)
		adapter_say(outcome, "nothing is pooled: %s", named.patches.reason);
	if (error != 0) {
		patch_revert(&named.patches);
		return error;
	}
	outcome->mode = named.is_observing ? "observe" : "pool";
	outcome->way = "named";
	adapter_say(outcome,
	        named.is_observing ? "what %s creates and %s destroys is counted, and left to the program"
	                           : "what %s creates is pooled when %s destroys it",
	        create_name, config->destroy);
	return 0;
}

/* Only if the user has named both functions. */
static bool is_here(const struct config *config)
{
	return config->create[0] != '\0' && config->destroy[0] != '\0';
}

static void fork_child(void)
{
	roster_fork_child(&named.classes);
}

const struct adapter adapter_named = {
        .name = "named",
        .is_users_choice = true,
        .is_here = is_here,
        .attach = attach,
        .fork_child = fork_child,
};
