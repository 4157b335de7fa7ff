/* SPDX-License-Identifier: MIT */
/* `classes` is written by classes_init, except for its classes: each is written by the thread that adds it. */
#include "adapter/classes.h"

#include "adapter/contexts.h"
#include "adapter/program.h"
#include "adapter/request.h"
#include "adapter/sites.h"
#include "adapter/unload.h"
#include "libc/elsewhere.h"
#include "pool/fast_path.h"
#include "pool/pool.h"
#include "pool/stats.h"
#include "pool/tally.h"
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/reclaim.h"
#include "stack/roots.h"
#include "stack/slot_guard.h"
#include "stack/spent.h"
#include "stack/trust.h"
#include "system/sandbox.h"
#include "system/warn.h"
#include "tables/roster.h"

#include <sys/mman.h>

enum {
	WARM_LINES = 8,
	LINE_BYTES = 64,
	START_CALLS = 11, /* with the first stack: our thread, with its stack, and tables */
};

#define GONE UINT64_MAX

struct stack_class {
	struct request request;
	struct arena_class *slots;
	struct pool pool;
	struct pool_kind kind;
	struct trust trust;
	struct roots roots;   /* of stacks that are zeroed only because nothing is known of them */
	bool is_pooled_above; /* see sites_is_pooled: while it is so, this pool only counts */
	/* The object (program_object) of the call, checked when unload_now() was `seen`. */
	uint64_t object;
	_Atomic uint64_t seen; /* GONE: the object was unloaded, and the class is never used again */
	char name[REQUEST_NAME_BYTES];
};

static struct {
	struct arena *arena;
	unsigned max_batches;
	struct stack_class class[POOL_MAX];
	struct roster started;
} classes;

static struct stack_class *class_of(const struct arena_class *slots)
{
	return &classes.class[slots - classes.arena->class];
}

/* The call does not do what was learned. */
static void unlearn(const struct stack_class *class)
{
	sites_spoil(class->request.caller, request_site_bytes(&class->request));
}

/* Whether a slot was treated in its last use as learned ones are. */
static bool has_been_guarded(const struct slot *slot)
{
	return !slot->is_guard_old && !slot->is_sealed;
}

/* A slot that was made, or came out of the pool, is gone without being idle or given to `destroy`. */
static void note_end(const struct arena_place *place)
{
	struct stack_class *class = class_of(place->class);

	roots_end(&class->roots);
	if (class->request.is_learned && class->slots->is_reserved)
		unlearn(class);
	tally_gone(&class->pool, (void *)place->base);
}

static bool only_counts(const struct stack_class *class)
{
	return class->is_pooled_above && sites_are_pooled_above();
}

/* The pool that the program's objects come from: of those whose stacks only count, the one above. */
static struct pool *pool_of(const struct arena_class *slots)
{
	struct stack_class *class = class_of(slots);

	for (unsigned i = 0; only_counts(class) && i < pool_count(); i++) {
		if (pool_at(i)->kind->stock != NULL)
			return pool_at(i);
	}
	return &class->pool;
}

static void note_calls(const struct arena_class *slots, unsigned calls)
{
	tally_spent(pool_of(slots), calls);
}

void classes_init(struct arena *arena, unsigned max_batches)
{
	classes.arena = arena;
	classes.max_batches = max_batches;
	arena->note_end = note_end;
	arena->note_calls = note_calls;
}

/* How many memory maps an idle stack takes. Its addresses are the arena's, which has its own limit. */
static unsigned object_maps(void)
{
	return classes.arena->means == GUARD_MPROTECT ? POOL_OBJECT_MAPS : 0;
}

unsigned classes_cap_bearable(void)
{
	return pool_cap_bearable(object_maps(), 0);
}

static void *make(void *owner)
{
	struct stack_class *class = owner;
	struct arena_place place;
	void *stack = arena_make(class->slots);

	/* Neither in a pool nor in the program's hands: see hand_out. */
	if (stack != NULL && arena_find(classes.arena, stack, &place))
		slot_move(place.slot, SLOT_LIVE, SLOT_FRESH);
	return stack;
}

/*
 * Finds the slot of a stack that was in the class's pool. False: there is none, since it was given up with all of its
 * chunk; its address may now be that of anything, or in a slot of another class.
 */
static bool is_own(const struct stack_class *class, const void *stack, struct arena_place *place)
{
	return arena_find(classes.arena, stack, place) && place->class == class->slots && place->offset == 0;
}

static void destroy(void *owner, void *stack)
{
	const struct stack_class *class = owner;
	struct arena_place place;

	if (is_own(class, stack, &place)) {
		depth_note(&place);
		arena_discard(&place);
	}
}

/* Not in `destroy`: a program that overflows its pool would pay for it in its own threads. */
static void given_back(void *owner, void *stack)
{
	struct stack_class *class = owner;
	struct arena_place place;

	/* The program has unmapped it before, or thinks so: that was saved, and destroy has made a call now. */
	note_calls(class->slots, 1);
	if (is_own(class, stack, &place))
		arena_reclaim(&place);
}

/* [class.seen] relaxed: a thread that finds it old looks itself. */
static void see(struct stack_class *class, uint64_t now)
{
	atomic_store_explicit(&class->seen, now, memory_order_relaxed);
}

/* A library was unloaded. Whatever another library does at the same addresses belongs to another class. */
static bool is_still_there(struct stack_class *class, uint64_t seen, uint64_t now)
{
	bool is_there = seen != GONE && program_object(class->request.caller) == class->object;

	if (!is_there)
		see(class, GONE);
	else if (unload_is_settled(now))
		see(class, now);
	return is_there;
}

static struct stack_class *find_class(const struct request *request)
{
	unsigned started = roster_count(&classes.started);
	uint64_t now = unload_now(), seen;

	for (unsigned i = 0; i < started; i++) {
		if (!request_is_alike(&classes.class[i].request, request))
			continue;
		/* [class.seen] relaxed: as in see. */
		seen = atomic_load_explicit(&classes.class[i].seen, memory_order_relaxed);
		if (__builtin_expect(seen == now, 1) || is_still_there(&classes.class[i], seen, now))
			return &classes.class[i];
	}
	return NULL;
}

static void start_class(struct stack_class *class, unsigned number, const struct request *request)
{
	size_t site_bytes = request_site_bytes(request);
	uint64_t now = unload_now();

	class->request = *request;
	class->object = program_object(request->caller);
	see(class, unload_is_settled(now) ? now : 0);
	class->is_pooled_above = sites_is_pooled(request->caller, site_bytes);
	if (request_may_be_proven(request) && request->protection != PROT_NONE)
		contexts_learn(&class->roots, request->caller);
	class->slots = arena_class_start(classes.arena, number, request->bytes, request->protection);
	class->slots->is_guard_kept = sites_is_guard_kept(request->caller, site_bytes);
	class->slots->is_guarded_at_once = sites_is_guarded(request->caller, site_bytes);
	class->trust.is_sure = class->slots->is_guarded_at_once || request->protection == PROT_NONE;
	request_name(request, class->name);
	class->kind = (struct pool_kind){
	        .name = class->name,
	        .make = make,
	        .destroy = destroy,
	        .given_back = given_back,
	        .make_calls = 1,
	        .destroy_calls = 1,
	        .object_maps = object_maps(),
	        .maps_saved = &class->slots->guards,
	        .stacks = class->slots,
	        .is_part = class->is_pooled_above,
	};
	request_own(request, &class->kind);
}

/* Adds a class for such requests. NULL: there are too many, or another thread is adding one. */
static void *add_class(const void *argument)
{
	const struct request *request = argument;
	struct stack_class *class;
	unsigned number;

	if (sandbox_is_tight() || !roster_begin(&classes.started))
		return NULL;
	number = roster_count(&classes.started);
	class = find_class(request);
	if (class == NULL && number == POOL_MAX)
		warn_once(
		        "there are more than %d kinds of stacks, by size and call site: further ones are not pooled",
		        POOL_MAX);
	if (class == NULL && number < POOL_MAX) {
		start_class(&classes.class[number], number, request);
		if (pool_start(&classes.class[number].pool, &classes.class[number].kind,
		            &classes.class[number], classes.max_batches) >= 0) {
			class = &classes.class[number++];
			if (number == 1)
				note_calls(class->slots, START_CALLS);
		}
	}
	roster_end(&classes.started, number);
	return class;
}

/*
 * The program is about to write to the top of the stack, which is not in the processor's cache if many stacks are
 * alive: fetches all its lines at once.
 */
static void warm_up(const char *stack, size_t bytes)
{
	for (unsigned line = 1; line <= WARM_LINES; line++)
		__builtin_prefetch(stack + bytes - line * LINE_BYTES, 1);
}

/*
 * Takes a slot that was in the pool for use. False: it cannot be what the request wants. A slot in the program's
 * hands is not handed out twice, however it got into the pool: threads that share thread-local storage (clone()
 * without CLONE_SETTLS) share a cache, and may damage it.
 */
static bool hand_out(struct stack_class *class, void *stack)
{
	struct arena_place place;
	bool idle, ready;

	/* First the state: the program may have mapped something over an idle slot. */
	if (!is_own(class, stack, &place))
		return false;
	idle = slot_move(place.slot, SLOT_IDLE, SLOT_BUSY);
	if (!idle && !slot_move(place.slot, SLOT_FRESH, SLOT_BUSY))
		return false;
	arena_seal(&place);
	ready = arena_ready(&place);
	if (ready && class->request.is_clean && !roots_are_proven(&class->roots)) {
		if (!idle && !place.slot->is_sealed)
			spent_note(place.class, place.slot->guard_bytes != 0);
		ready = (idle ? arena_renew(&place) : place.slot->is_sealed ? 0 : arena_unguard(&place)) == 0;
	} else if (ready) {
		if (class->request.is_clean)
			roots_clear(&class->roots, &place);
		ready = trust_hand_out(&class->trust, &place, thread_self);
	}
	slot_settle(place.slot, ready ? SLOT_LIVE : SLOT_IDLE);
	return ready;
}

/* Returns a stack of the class: from the pool, or from the arena if the pool has none that can be handed out. */
static void *take_stack(struct stack_class *class)
{
	void *stack =
	        only_counts(class) ? pool_make(&class->pool) : pool_get(&class->pool, class->pool.index);

	for (unsigned tries = 0; stack != NULL && !hand_out(class, stack); tries++) {
		pool_destroy(&class->pool, stack);
		stack = tries == 0 ? pool_make(&class->pool) : NULL;
	}
	return stack;
}

void *classes_get(struct request *request)
{
	struct stack_class *class = find_class(request);
	void *stack;

	if ((class == NULL || class->request.is_learned) && !request_is_stack(request))
		return NULL;
	if (class == NULL)
		/* To name a class and start its pool takes more stack than a coroutine may have left. */
		class = elsewhere_call(add_class, request);
	if (class == NULL)
		return NULL;
	stack = take_stack(class);
	if (stack != NULL)
		warm_up(stack, request->bytes - arena_upper(class->slots));
	else if (arena_is_refused(classes.arena))
		warn_once(
		        "the system had no room for another stack of %zu bytes: the program maps such stacks itself, and they are not pooled",
		        request->bytes);
	return stack;
}

void classes_put(const struct arena_place *place)
{
	struct stack_class *class = class_of(place->class);

	if (class->request.is_clean && !has_been_guarded(place->slot))
		unlearn(class);
	/* Held while it is read: an idle slot may be closed or unmapped by another thread, see stack/locked.h. */
	if (class->roots.high != 0 && slot_move(place->slot, SLOT_IDLE, SLOT_BUSY)) {
		roots_note_return(&class->roots, place);
		arena_let_go(place, SLOT_IDLE);
	}
	trust_note_return(&class->trust, place->slot);
	if (only_counts(class))
		pool_destroy(&class->pool, (void *)place->base);
	else
		pool_put(&class->pool, class->pool.index, (void *)place->base);
}

void classes_count_saved(const struct arena_class *slots)
{
	pool_count_saved(class_of(slots)->pool.index);
}

uint64_t classes_returned(void)
{
	unsigned started = roster_count(&classes.started);
	struct pool_stats stats;
	uint64_t sum = 0;

	for (unsigned i = 0; i < started; i++) {
		pool_read(&classes.class[i].pool, &stats);
		sum += stats.destroy_local + stats.destroy_depot + stats.destroy_delete;
	}
	return sum;
}

void classes_fork_child(void)
{
	roster_fork_child(&classes.started);
}
