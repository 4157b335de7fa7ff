/* SPDX-License-Identifier: MIT */
/*
 * The adapter for programs whose coroutine stacks come from mmap: PHP, D, Boost, perl's Coro and others. A request
 * for a coroutine stack gets a slot of the arena. An unmapped slot waits in a pool for the next request of the same
 * size, protection, flags and call site. What the program does to it next, such as setting up its guard page, it did
 * to it last time too, so that costs nothing. All other mappings go to libc. The hooks are in adapter/stack_hooks.c.
 *
 *	a request is for a stack if		and the slot is handed out
 *	it says MAP_STACK			as it was left
 *	 (or PROT_NONE, to be opened above its guard)
 *	its call is in a known allocator	as it was left
 *	its call was learned (adapter/sites.h)	zeroed, without guard; as it was left, once it is proven
 *						 to be a stack (adapter/contexts.h, stack/roots.h)
 *	the user named its size			zeroed, without guard
 */
#include "adapter/adapter.h"

#include "adapter/ceiling.h"
#include "adapter/classes.h"
#include "adapter/contexts.h"
#include "adapter/label.h"
#include "adapter/late.h"
#include "adapter/observe.h"
#include "adapter/request.h"
#include "adapter/room.h"
#include "adapter/sites.h"
#include "adapter/stack_hooks.h"
#include "config.h"
#include "patch/symbols.h"
#include "pool/limits.h"
#include "pool/pool.h"
#include "stack/orphans.h"
#include "stack/poison.h"

#include <errno.h>

static struct {
	enum stack_hooks prepared; /* written by attach: what the hooks can do from now on */
	bool (*come)(void);        /* written by wait_for */
} stacks;

static bool has_function(const char *name)
{
	struct symbol symbol;

	return symbols_find_loaded(name, ELF_FUNCTION, &symbol) == 0;
}

static bool is_asked_for(const struct config *config)
{
	return config->host == CONFIG_HOST_STACKS || config->stack_size != 0 || config->learn;
}

static bool is_here(const struct config *config)
{
	return is_asked_for(config) || contexts_has_boost() || sites_any_known(has_function);
}

static const char *learning_text(const struct config *config, bool boost)
{
	return config->learn ? "; call sites are learned" : boost ? "; Boost's call sites are learned" : "";
}

static void say_how(const struct config *config, bool boost, struct adapter_outcome *outcome)
{
	const char *learning = learning_text(config, boost);

	if (stack_arena.means == GUARD_MADVISE)
		adapter_say(outcome,
		        "coroutine stacks are pooled; guard pages by madvise cost no memory maps%s",
		        learning);
	else if (stack_arena.means == GUARD_POISON)
		adapter_say(outcome,
		        "coroutine stacks are pooled; guard pages by poison cost no memory maps, but a stack overflow ends in SIGBUS%s",
		        learning);
	else
		adapter_say(outcome,
		        "coroutine stacks are pooled; guard pages by mprotect cost a memory map each, and vm.max_map_count=%lu limits them (sysctl vm.max_map_count raises it%s)%s",
		        limits_max_maps(),
		        config->guard == GUARD_AUTO && poison_is_in_kernel()
		                ? "; COPOOL_GUARD=poison would lift it, and end overflows in SIGBUS"
		                : "",
		        learning);
}

static int attach_observer(const char *learning, struct adapter_outcome *outcome)
{
	int error = observe_start();

	outcome->mode = error == 0 ? "observe" : "none";
	adapter_say(outcome, "coroutine stacks are %s%s",
	        error == 0 ? "counted, and left to the program" : "not counted: there is no memory",
	        error == 0 ? learning : "");
	return error;
}

static void attach_pools(const struct config *config, bool boost, struct adapter_outcome *outcome)
{
	bool is_derived = config->max_batches == BATCHES_DERIVED;

	ceiling_init(config->max_live);
	arena_init(&stack_arena, config->guard);
	classes_init(&stack_arena, config->max_batches);
	room_init();
	outcome->cap = is_derived ? classes_cap_bearable() : config->max_batches;
	outcome->mode = "pool";
	say_how(config, boost, outcome);
}

static void know_boost(void)
{
	struct extent allocate;

	if (contexts_find_allocate(&allocate))
		sites_know("boost", allocate.low, allocate.high);
}

static bool find_in_file(void *symbols, const char *function, uintptr_t *low, uintptr_t *high)
{
	struct symbol symbol;

	if (symbols_find(symbols, function, ELF_FUNCTION, &symbol) != 0)
		return false;
	*low = (uintptr_t)symbol.address;
	*high = *low + symbol.size;
	return true;
}

/*
 * Of a run-time library that is linked statically, as D's often is, only the symbol table of the program's file tells.
 * To read that takes too long for each program that anybody starts.
 */
static void know_static(void)
{
	struct symbols symbols;

	if (symbols_open(&symbols) != 0)
		return;
	if (symbols_open_files(&symbols, NULL) == 0)
		sites_know_by(find_in_file, &symbols);
	symbols_close(&symbols);
}

static int attach(const struct config *config, struct adapter_outcome *outcome)
{
	bool boost = !outcome->is_late && contexts_has_boost();
	bool is_observing = config->mode == CONFIG_MODE_OBSERVE;
	int error = 0;

	outcome->is_waiting = outcome->has_stacks && outcome->learn_bytes != 0 && !is_here(config);
	outcome->way = "stacks";
	label_init();
	request_init(config->stack_size, config->zero);
	if (boost)
		know_boost();
	if (is_asked_for(config) && !outcome->is_late)
		know_static();
	sites_init(config->learn                        ? SITES_EVERYWHERE
	           : boost || outcome->learn_bytes != 0 ? SITES_IN_PROGRAM
	                                                : SITES_NEVER,
	        config->learn || boost ? 0 : outcome->learn_bytes);
	if (is_observing)
		error = attach_observer(learning_text(config, boost), outcome);
	else
		attach_pools(config, boost, outcome);
	if (error != 0)
		return error;
	stacks.prepared = is_observing ? HOOKS_OBSERVE : HOOKS_POOL;
	if (!outcome->is_late)
		stack_hooks_set(stacks.prepared);
	return 0;
}

static bool come(void)
{
	bool is_come = stacks.come();

	/* Last: then other threads enter, and a fork's child need not repeat anything. */
	if (is_come)
		stack_hooks_set(stacks.prepared);
	return is_come;
}

static void wait_for(bool (*come_late)(void))
{
	stacks.come = come_late;
	late_wait(come);
}

static void fork_child(void)
{
	late_fork_child();
	arena_fork_child(&stack_arena);
	classes_fork_child();
	stack_hooks_fork_child();
	observe_fork_child();
}

const struct adapter adapter_stacks = {
        .name = "stacks", .is_here = is_here, .attach = attach, .wait = wait_for, .fork_child = fork_child};
