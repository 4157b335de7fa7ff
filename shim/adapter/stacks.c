/* SPDX-License-Identifier: MIT */
/*
 * Programs whose coroutine stacks come from mmap: PHP, D, Boost, perl's Coro and others. A request that is
 * one for a coroutine stack gets a slot of the arena, and an unmapped slot waits in a pool for the next
 * request of the same size, protection, flags and call site; what the program does next to it, its guard
 * page, is what it did last time and costs nothing. Everything else goes straight through.
 *
 *	a request is for a stack when		and the slot is handed out
 *	it says MAP_STACK			as it was left
 *	 (or PROT_NONE, to be opened above its guard)
 *	its call is in a known allocator	as it was left
 *	its call was learned (adapter/sites.h)	zeroed, without guard; as it was left, once it is proven
 *						 to be a stack (adapter/contexts.h, stack/roots.h)
 *	its size was named by the user		zeroed, without guard
 *
 * `stacks` is written by attach. Every thread enters, at any time.
 */
#include "adapter/stacks.h"

#include "adapter/adapter.h"
#include "adapter/ceiling.h"
#include "adapter/classes.h"
#include "adapter/contexts.h"
#include "adapter/label.h"
#include "adapter/late.h"
#include "adapter/mappings.h"
#include "adapter/observe.h"
#include "adapter/placing.h"
#include "adapter/request.h"
#include "adapter/sites.h"
#include "config.h"
#include "libc/real.h"
#include "patch/symbols.h"
#include "pool/limits.h"
#include "pool/pool.h"
#include "stack/address.h"
#include "stack/arena.h"
#include "stack/lifetime.h"
#include "stack/locked.h"
#include "stack/orphans.h"
#include "tables/roster.h"

#include <errno.h>
#include <link.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

static struct {
	struct roster attached; /* holds one entry, the arena, once it is ready */
	struct arena arena;
	bool is_observing;
	bool (*come)(void); /* written by wait_for */
} stacks;

static bool is_on(void)
{
	return roster_count(&stacks.attached) > 0;
}

/* ---- mmap and munmap ---- */

/* The kernel fills holes that bare system calls have made in the arena. MAP_FAILED is higher than all there is. */
static void *admitted(void *mapped, size_t bytes)
{
	if (__builtin_expect(arena_is_near(&stacks.arena, mapped, bytes), 0) &&
	        arena_holds(&stacks.arena, mapped, bytes))
		placing_admit(&stacks.arena, mapped, bytes);
	return mapped;
}

void *hook_mmap(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller)
{
	int saved = errno;
	void *mapped;

	if (!is_on() && late_is_waiting() && request_is_candidate(address, bytes, protection, flags))
		late_look(caller);
	if (!is_on())
		return observe_mmap(address, bytes, protection, flags, fd, offset, caller);
	if (request_is_candidate(address, bytes, protection, flags)) {
		struct request request = {request_pages(bytes), protection, flags, caller, false, false};

		if (ceiling_is_set() && ceiling_refuses(&request)) {
			errno = ENOMEM;
			return MAP_FAILED;
		}
		mapped = classes_get(&request);
		if (mapped != NULL) {
			errno = saved;
			return mapped;
		}
		errno = saved;
		mapped = real_mmap(address, bytes, protection, flags, fd, offset);
		if (mapped != MAP_FAILED)
			sites_note_mapping(caller, mapped, request_site_bytes(&request));
		return admitted(mapped, bytes);
	}
	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0 && arena_touches(&stacks.arena, address, bytes))
		return placing_map(&stacks.arena, address, bytes, protection, flags, fd, offset);
	errno = saved;
	return admitted(real_mmap(address, bytes, protection, flags, fd, offset), bytes);
}

/* The common case, ahead of all others: a whole stack, as it was handed out. */
static bool release_whole(const void *address, size_t bytes)
{
	struct arena_place place;

	if (!arena_find(&stacks.arena, address, &place) || place.offset != 0 ||
	        ((bytes + stacks.arena.page_bytes - 1) & ~(stacks.arena.page_bytes - 1)) !=
	                place.class->bytes ||
	        !slot_move(place.slot, SLOT_LIVE, SLOT_IDLE))
		return false;
	classes_put(&place);
	return true;
}

int hook_munmap(void *address, size_t bytes)
{
	int saved = errno, result;

	if (!is_on())
		return observe_munmap(address, bytes);
	if (release_whole(address, bytes)) {
		errno = saved;
		return 0;
	}
	if (!arena_touches(&stacks.arena, address, bytes)) {
		sites_note_end(address);
		return real_munmap(address, bytes);
	}
	result = mappings_unmap(&stacks.arena, address, bytes, classes_put);
	if (result == 0)
		errno = saved;
	return result;
}

/* ---- what else a program does to its mappings ---- */

/*
 * What a recycled stack's program does first: ask for the guard page that is still there. Some do the reverse last; then
 * the guard is as one of the last use, which is what it will be.
 */
static bool is_guarded_already(const void *address, size_t bytes, int protection)
{
	struct arena_place place;

	if (!arena_find(&stacks.arena, address, &place) || place.offset != 0 ||
	        (protection != PROT_NONE &&
	                (!place.class->is_guard_kept || protection != place.class->protection)) ||
	        slot_state(place.slot) != SLOT_LIVE || place.slot->guard_bytes == 0 ||
	        place.slot->is_advised || place.slot->guard_bytes != request_pages(bytes))
		return false;
	place.slot->is_guard_old = protection != PROT_NONE;
	classes_count_saved(place.class);
	return true;
}

/* The same of one that was reserved: it asks to open what is open. */
static bool is_open_already(const void *address, size_t bytes, int protection)
{
	struct arena_place place;

	if (protection == PROT_NONE || !arena_find(&stacks.arena, address, &place) ||
	        !arena_open_again(&place, request_pages(bytes), protection))
		return false;
	classes_count_saved(place.class);
	return true;
}

int hook_mprotect(void *address, size_t bytes, int protection)
{
	int result;

	if (!is_on())
		return observe_mprotect(address, bytes, protection);
	if (is_guarded_already(address, bytes, protection) || is_open_already(address, bytes, protection))
		return 0;
	if (arena_touches(&stacks.arena, address, bytes))
		return mappings_protect(&stacks.arena, address, bytes, protection, -1);
	result = real_mprotect(address, bytes, protection);
	if (result == 0) {
		if (protection == PROT_NONE)
			sites_note_guard(address);
		else
			sites_note_open(address, bytes, protection);
	}
	return result;
}

int hook_pkey_mprotect(void *address, size_t bytes, int protection, int key)
{
	if (key == -1)
		return hook_mprotect(address, bytes, protection);
	if (is_on() && arena_touches(&stacks.arena, address, bytes))
		return mappings_protect(&stacks.arena, address, bytes, protection, key);
	return real_pkey_mprotect(address, bytes, protection, key);
}

/* What PHP does to each of its stacks from 8.4 on. In the arena it has been done: the answer is the one that it had. */
static bool has_no_huge_pages(const void *address, size_t bytes, int advice, int *error)
{
	struct arena_place place;

	if (advice != MADV_NOHUGEPAGE || bytes == 0 || !arena_find(&stacks.arena, address, &place) ||
	        place.offset % stacks.arena.page_bytes != 0 || bytes > place.class->bytes - place.offset ||
	        slot_state(place.slot) != SLOT_LIVE)
		return false;
	*error = arena_no_huge(&stacks.arena);
	if (*error != ARENA_ASK)
		classes_count_saved(place.class);
	return *error != ARENA_ASK;
}

int hook_madvise(void *address, size_t bytes, int advice)
{
	int result, error;

	if (is_on() && has_no_huge_pages(address, bytes, advice, &error)) {
		if (error != 0)
			errno = error;
		return error == 0 ? 0 : -1;
	}
	if (is_on() && arena_touches(&stacks.arena, address, bytes))
		return mappings_advise(&stacks.arena, address, bytes, advice);
	result = real_madvise(address, bytes, advice);
	if (__builtin_expect(advice == MADV_GUARD_INSTALL, 0) && result == 0)
		is_on() ? sites_note_guard(address) : observe_guard(address);
	return result;
}

void *hook_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address)
{
	if (!is_on())
		return observe_mremap(address, old_bytes, new_bytes, flags, new_address);
	if (arena_touches(&stacks.arena, address, old_bytes) ||
	        ((flags & MREMAP_FIXED) != 0 && arena_touches(&stacks.arena, new_address, new_bytes)))
		return mappings_move(&stacks.arena, address, old_bytes, new_bytes, flags, new_address);
	return admitted(real_mremap(address, old_bytes, new_bytes, flags, new_address), new_bytes);
}

int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	struct arena_place place;
	bool is_saved;
	int result;

	if (option == PR_SET_VMA && a == PR_SET_VMA_ANON_NAME && is_on() &&
	        arena_find(&stacks.arena, (void *)b, &place) && place.offset == 0 &&
	        c == place.class->bytes && slot_state(place.slot) == SLOT_LIVE) {
		result = label_set(&place, c, (const char *)d, &is_saved);
		if (is_saved)
			classes_count_saved(place.class);
		return result;
	}
	return real_prctl(option, a, b, c, d);
}

int hook_mlock(const void *address, size_t bytes)
{
	int saved = errno;

	if (is_on() && arena_touches(&stacks.arena, address, bytes))
		mappings_retire(&stacks.arena, address, bytes);
	errno = saved;
	return real_mlock(address, bytes);
}

int hook_mlock2(const void *address, size_t bytes, unsigned flags)
{
	int saved = errno;

	if (is_on() && arena_touches(&stacks.arena, address, bytes))
		mappings_retire(&stacks.arena, address, bytes);
	errno = saved;
	return real_mlock2(address, bytes, flags);
}

/*
 * Who serves the faults of a stack himself, with userfaultfd, does so until it is unmapped; so it must be, and is not
 * kept. Where the kernel has said yes the argument can be read. Every ioctl of the program's passes here.
 */
int hook_ioctl(int fd, unsigned long request, void *argument)
{
	int result = real_ioctl(fd, request, argument);

	if (__builtin_expect((uint32_t)request == (uint32_t)UFFDIO_REGISTER, 0) && result == 0 && is_on()) {
		struct uffdio_range range = ((struct uffdio_register *)argument)->range;

		if (arena_touches(&stacks.arena, (void *)(uintptr_t)range.start, range.len))
			placing_make_way(&stacks.arena, (void *)(uintptr_t)range.start, range.len, MAP_FIXED);
	}
	return result;
}

/* Of the process itself it is madvise, but that it comes from the side. Of another it does no harm. */
ssize_t hook_process_madvise(
        int process, const struct iovec *range, size_t ranges, int advice, unsigned flags)
{
	ssize_t done = real_process_madvise(process, range, ranges, advice, flags);

	if (done <= 0 || !is_on() || advice == MADV_WILLNEED || advice == MADV_COLD || advice == MADV_PAGEOUT)
		return done;
	for (size_t i = 0; i < ranges; i++) {
		if (arena_touches(&stacks.arena, range[i].iov_base, range[i].iov_len))
			mappings_retire(&stacks.arena, range[i].iov_base, range[i].iov_len);
	}
	return done;
}

int hook_mlockall(int flags)
{
	int saved = errno, result;

	if (!is_on())
		return real_mlockall(flags);
	arena_shrink(&stacks.arena);
	arena_start_over(&stacks.arena);
	errno = saved;
	result = real_mlockall(flags);
	if (result == 0) {
		arena_start_over(&stacks.arena); /* what waits is as new mappings are from now on */
		errno = saved;
	}
	return result;
}

/* ---- the host ---- */

static int find_boost(struct dl_phdr_info *object, size_t bytes, void *found)
{
	const char *name = strrchr(object->dlpi_name, '/');

	(void)bytes;
	name = name != NULL ? name + 1 : object->dlpi_name;
	*(bool *)found = strncmp(name, "libboost_context.", 17) == 0 ||
	                 strncmp(name, "libboost_coroutine.", 19) == 0 ||
	                 strncmp(name, "libboost_fiber.", 15) == 0;
	return *(bool *)found;
}

static bool has_boost(void)
{
	bool found = false;

	dl_iterate_phdr(find_boost, &found);
	return found;
}

static bool has_function(const char *name)
{
	struct symbol symbol;

	return symbols_find_loaded(name, ELF_FUNCTION, &symbol) == 0;
}

static bool is_here(const struct config *config)
{
	return config->host == CONFIG_HOST_STACKS || config->stack_bytes != 0 || config->learn ||
	       has_boost() || sites_any_known(has_function);
}

static const char *learning_text(const struct config *config, bool boost)
{
	return config->learn ? "; call sites are learned" : boost ? "; Boost's call sites are learned" : "";
}

/* Whether this Linux is new enough; to find out more would mean to use it unasked. */
static bool has_poison(void)
{
	struct utsname kernel;
	unsigned long major, minor;
	char *end;

	if (uname(&kernel) != 0)
		return false;
	major = strtoul(kernel.release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major > 6 || (major == 6 && minor >= 6);
}

static void say_how(const struct config *config, bool boost, struct adapter_outcome *outcome)
{
	const char *learning = learning_text(config, boost);

	if (stacks.arena.means == GUARD_MADVISE)
		adapter_say(outcome,
		        "coroutine stacks are pooled; guard pages by madvise, so that they cost no memory "
		        "maps%s",
		        learning);
	else if (stacks.arena.means == GUARD_POISON)
		adapter_say(outcome,
		        "coroutine stacks are pooled; guard pages by poison, so that they cost no memory "
		        "maps, and a stack that overflows ends in SIGBUS%s",
		        learning);
	else
		adapter_say(outcome,
		        "coroutine stacks are pooled; guard pages by mprotect, so that each costs a memory "
		        "map, and vm.max_map_count=%lu limits them (sysctl vm.max_map_count raises it%s)%s",
		        limits_max_maps(),
		        config->guard == GUARD_AUTO && has_poison()
		                ? "; COPOOL_GUARD=poison would lift it, and end overflows in SIGBUS"
		                : "",
		        learning);
}

/* From now on they see what has been prepared. */
static void open_hooks(void)
{
	if (stacks.is_observing)
		observe_open();
	else
		roster_end(&stacks.attached, 1);
}

static int attach_observer(const char *learning, struct adapter_outcome *outcome)
{
	int error = observe_start();

	stacks.is_observing = error == 0;
	if (error == 0 && !outcome->is_late)
		open_hooks();
	outcome->mode = error == 0 ? "observe" : "none";
	adapter_say(outcome, "coroutine stacks are %s%s",
	        error == 0 ? "counted, and left to the program" : "not counted: there is no memory",
	        error == 0 ? learning : "");
	return error;
}

static void know_boost(void)
{
	struct extent allocate;

	if (contexts_find_allocate(&allocate))
		sites_know("boost", allocate.low, allocate.high);
}

static int attach(const struct config *config, struct adapter_outcome *outcome)
{
	bool boost = !outcome->is_late && has_boost();

	outcome->is_waiting = outcome->has_stacks && outcome->learn_bytes != 0 && !is_here(config);
	outcome->way = "stacks";
	label_init();
	request_init(config->stack_bytes, config->zero);
	if (boost)
		know_boost();
	sites_init(config->learn                        ? SITES_EVERYWHERE
	           : boost || outcome->learn_bytes != 0 ? SITES_IN_PROGRAM
	                                                : SITES_NEVER,
	        config->learn || boost ? 0 : outcome->learn_bytes);
	if (config->mode == CONFIG_MODE_OBSERVE)
		return attach_observer(learning_text(config, boost), outcome);
	ceiling_init(config->max_live);
	arena_init(&stacks.arena, config->guard);
	classes_init(&stacks.arena, config->max_batches);
	outcome->cap = config->max_batches == BATCHES_DERIVED ? classes_cap_bearable() : config->max_batches;
	if (!outcome->is_late)
		open_hooks();
	outcome->mode = "pool";
	say_how(config, boost, outcome);
	return 0;
}

static bool come(void)
{
	bool is_come = stacks.come();

	/* Last: then other threads come in, and a fork's child need do nothing of it again. */
	if (is_come)
		open_hooks();
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
	arena_fork_child(&stacks.arena);
	classes_fork_child();
	observe_fork_child();
}

const struct adapter adapter_stacks = {
        .name = "stacks", .is_here = is_here, .attach = attach, .wait = wait_for, .fork_child = fork_child};
