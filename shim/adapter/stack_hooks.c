/* SPDX-License-Identifier: MIT */
/*
 * A hook looks first whether the call concerns one of our stacks in its most common form, which costs no system call;
 * then whether it touches the arena at all (adapter/mappings.h, adapter/placing.h); everything else goes to libc.
 */
#include "adapter/stack_hooks.h"

#include "adapter/ceiling.h"
#include "adapter/classes.h"
#include "adapter/label.h"
#include "adapter/late.h"
#include "adapter/mappings.h"
#include "adapter/observe.h"
#include "adapter/placing.h"
#include "adapter/request.h"
#include "adapter/room.h"
#include "adapter/sites.h"
#include "libc/real.h"
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/locked.h"
#include "system/clock.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct arena stack_arena;

static _Atomic int state; /* an enum stack_hooks */

static pid_t owner; /* of this memory; written by stack_hooks_set and stack_hooks_fork_child */

void stack_hooks_set(enum stack_hooks now)
{
	owner = clock_pid();
	/* [hooks.state] release: publishes all that the hooks need; pairs with hooks_are. */
	atomic_store_explicit(&state, now, memory_order_release);
}

static bool hooks_are(enum stack_hooks wanted)
{
	/* [hooks.state] acquire: pairs with stack_hooks_set. */
	return atomic_load_explicit(&state, memory_order_acquire) == (int)wanted;
}

void stack_hooks_fork_child(void)
{
	if (!hooks_are(HOOKS_PASS))
		owner = clock_pid();
}

/* A child of vfork gives up what it may do before it calls exec, in its parent's memory. */
static bool is_own_memory(void)
{
	return owner == clock_pid();
}

void stack_hooks_forbid_code(void)
{
	if (is_own_memory())
		request_forbid_code();
}

/*
 * An address without its tag. On aarch64 a program may keep something in the highest byte of its addresses, which the
 * kernel leaves out of account in all that follows here but mmap.
 */
static void *untagged(const void *address)
{
#ifdef __aarch64__
	return (void *)(uintptr_t)((intptr_t)((uintptr_t)address << 8) >> 8);
#else
	return (void *)address;
#endif
}

/*
 * Whether a call that has failed, for a range outside the arena, is to be made again: the memory that it lacked may be
 * that of idle stacks. errno is then as before the call.
 */
static bool has_made_room(size_t bytes, int saved)
{
	if (errno != ENOMEM || !hooks_are(HOOKS_POOL) || !room_make(&stack_arena, bytes))
		return false;
	errno = saved;
	return true;
}

/* ---- mmap and munmap ---- */

/* As real_mmap(). */
static void *map(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	int saved = errno;
	void *mapped = real_mmap(address, bytes, protection, flags, fd, offset);

	if (__builtin_expect(mapped == MAP_FAILED, 0) && room_is_for(flags) && has_made_room(bytes, saved))
		mapped = real_mmap(address, bytes, protection, flags, fd, offset);
	return mapped;
}

/* The kernel may have filled a hole that a bare system call made in the arena. MAP_FAILED is above all addresses. */
static void *admitted(void *mapped, size_t bytes)
{
	if (__builtin_expect(arena_is_near(&stack_arena, mapped, bytes), 0) &&
	        arena_holds(&stack_arena, mapped, bytes))
		placing_admit(&stack_arena, mapped, bytes);
	return mapped;
}

void *hook_mmap(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller)
{
	int saved = errno;
	void *mapped;

	if (hooks_are(HOOKS_PASS) && late_is_waiting() &&
	        request_is_candidate(address, bytes, protection, flags))
		late_look(caller);
	if (!hooks_are(HOOKS_POOL))
		return hooks_are(HOOKS_OBSERVE)
		               ? observe_mmap(address, bytes, protection, flags, fd, offset, caller)
		               : real_mmap(address, bytes, protection, flags, fd, offset);
	/* The kernel looks at the offset, though there is no file. */
	if (offset == 0 && request_is_candidate(address, bytes, protection, flags)) {
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
		mapped = map(address, bytes, protection, flags, fd, offset);
		if (mapped != MAP_FAILED)
			sites_note_mapping(caller, mapped, request_site_bytes(&request));
		return admitted(mapped, bytes);
	}
	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0 && arena_touches(&stack_arena, address, bytes))
		return placing_map(&stack_arena, address, bytes, protection, flags, fd, offset);
	errno = saved;
	return admitted(map(address, bytes, protection, flags, fd, offset), bytes);
}

/* The most frequent case first: a whole, untreated stack. */
static bool release_whole(const void *address, size_t bytes)
{
	struct arena_place place;

	if (!arena_find(&stack_arena, address, &place) || place.offset != 0 ||
	        ((bytes + stack_arena.page_bytes - 1) & ~(stack_arena.page_bytes - 1)) !=
	                place.class->bytes ||
	        !slot_move(place.slot, SLOT_LIVE, SLOT_IDLE))
		return false;
	classes_put(&place);
	return true;
}

int hook_munmap(void *address, size_t bytes)
{
	int saved = errno, result;

	address = untagged(address);
	if (!hooks_are(HOOKS_POOL))
		return hooks_are(HOOKS_OBSERVE) ? observe_munmap(address, bytes)
		                                : real_munmap(address, bytes);
	if (release_whole(address, bytes)) {
		errno = saved;
		return 0;
	}
	if (!arena_touches(&stack_arena, address, bytes)) {
		sites_note_end(address);
		return real_munmap(address, bytes);
	}
	result = mappings_unmap(&stack_arena, address, bytes, classes_put);
	if (result == 0)
		errno = saved;
	return result;
}

/* ---- what else a program does to its mappings ---- */

/*
 * What the program does first with a recycled stack: it asks for the guard page, which is still there. Some programs
 * open the guard last; then it stays as an old one, which it will be in the next use.
 */
static bool is_guarded_already(const void *address, size_t bytes, int protection)
{
	struct arena_place place;

	if (!arena_find(&stack_arena, address, &place) || place.offset != 0 ||
	        (protection != PROT_NONE &&
	                (!place.class->is_guard_kept || protection != place.class->protection)) ||
	        slot_state(place.slot) != SLOT_LIVE || place.slot->guard_bytes == 0 ||
	        place.slot->is_advised || place.slot->guard_bytes != request_pages(bytes))
		return false;
	place.slot->is_guard_old = protection != PROT_NONE;
	classes_count_saved(place.class);
	return true;
}

/* The same for a reserved slot: the program asks to open what is open. */
static bool is_open_already(const void *address, size_t bytes, int protection)
{
	struct arena_place place;

	if (protection == PROT_NONE || !arena_find(&stack_arena, address, &place) ||
	        !arena_open_again(&place, request_pages(bytes), protection))
		return false;
	classes_count_saved(place.class);
	return true;
}

/* Whether all of a range that could not be opened is mapped: otherwise memory was not what it lacked. errno survives. */
static bool is_mapped(void *address, size_t bytes)
{
	int saved = errno;
	bool is_there = real_own_madvise(address, bytes, MADV_WILLNEED) == 0 || errno != ENOMEM;

	errno = saved;
	return is_there;
}

int hook_mprotect(void *address, size_t bytes, int protection)
{
	int saved = errno, result;

	address = untagged(address);
	if (!hooks_are(HOOKS_POOL))
		return hooks_are(HOOKS_OBSERVE) ? observe_mprotect(address, bytes, protection)
		                                : real_mprotect(address, bytes, protection);
	if (is_guarded_already(address, bytes, protection) || is_open_already(address, bytes, protection))
		return 0;
	if (arena_touches(&stack_arena, address, bytes))
		return mappings_protect(&stack_arena, address, bytes, protection, -1);
	result = real_mprotect(address, bytes, protection);
	if (result != 0 && errno == ENOMEM && (protection & PROT_WRITE) != 0 && is_mapped(address, bytes) &&
	        has_made_room(bytes, saved))
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
	address = untagged(address);
	if (key == -1)
		return hook_mprotect(address, bytes, protection);
	if (hooks_are(HOOKS_POOL) && arena_touches(&stack_arena, address, bytes))
		return mappings_protect(&stack_arena, address, bytes, protection, key);
	return real_pkey_mprotect(address, bytes, protection, key);
}

/*
 * What PHP does to each of its stacks from 8.4 on. The arena has done that already, and remembers the kernel's
 * answer.
 */
static bool has_no_huge_pages(const void *address, size_t bytes, int advice, int *error)
{
	struct arena_place place;

	if (advice != MADV_NOHUGEPAGE || bytes == 0 || !arena_find(&stack_arena, address, &place) ||
	        place.offset % stack_arena.page_bytes != 0 || bytes > place.class->bytes - place.offset ||
	        slot_state(place.slot) != SLOT_LIVE)
		return false;
	*error = arena_no_huge(&stack_arena);
	if (*error != ARENA_ASK)
		classes_count_saved(place.class);
	return *error != ARENA_ASK;
}

/* The program has made a guard page at `address` by advice, outside the arena. */
static void note_guard(const void *address)
{
	if (hooks_are(HOOKS_POOL))
		sites_note_guard(address);
	else if (hooks_are(HOOKS_OBSERVE))
		observe_guard(address);
}

int hook_madvise(void *address, size_t bytes, int advice)
{
	int result, error;

	address = untagged(address);
	if (hooks_are(HOOKS_POOL) && has_no_huge_pages(address, bytes, advice, &error)) {
		if (error != 0)
			errno = error;
		return error == 0 ? 0 : -1;
	}
	if (hooks_are(HOOKS_POOL) && arena_touches(&stack_arena, address, bytes))
		return mappings_advise(&stack_arena, address, bytes, advice);
	result = real_madvise(address, bytes, advice);
	if (__builtin_expect(advice == MADV_GUARD_INSTALL, 0) && result == 0)
		note_guard(address);
	return result;
}

void *hook_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address)
{
	int saved = errno;
	void *moved;

	address = untagged(address);
	if (!hooks_are(HOOKS_POOL))
		return hooks_are(HOOKS_OBSERVE)
		               ? observe_mremap(address, old_bytes, new_bytes, flags, new_address)
		               : real_mremap(address, old_bytes, new_bytes, flags, new_address);
	if (arena_touches(&stack_arena, address, old_bytes) ||
	        ((flags & MREMAP_FIXED) != 0 && arena_touches(&stack_arena, new_address, new_bytes)))
		return mappings_move(&stack_arena, address, old_bytes, new_bytes, flags, new_address);
	moved = real_mremap(address, old_bytes, new_bytes, flags, new_address);
	if (moved == MAP_FAILED && (flags & MREMAP_MAYMOVE) != 0 && has_made_room(new_bytes, saved))
		moved = real_mremap(address, old_bytes, new_bytes, flags, new_address);
	return admitted(moved, new_bytes);
}

int hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	struct arena_place place;
	bool is_saved;
	int result;

	if (option == PR_SET_VMA && a == PR_SET_VMA_ANON_NAME && hooks_are(HOOKS_POOL) &&
	        arena_find(&stack_arena, (void *)b, &place) && place.offset == 0 && c == place.class->bytes &&
	        slot_state(place.slot) == SLOT_LIVE) {
		result = label_set(&place, c, (const char *)d, &is_saved);
		if (is_saved)
			classes_count_saved(place.class);
		return result;
	}
	return real_prctl(option, a, b, c, d);
}

/* The program is about to treat a range in a way that outlives the use of a stack. errno survives. */
static void retire(const void *address, size_t bytes)
{
	int saved = errno;

	address = untagged(address);
	if (hooks_are(HOOKS_POOL) && arena_touches(&stack_arena, address, bytes))
		mappings_retire(&stack_arena, address, bytes);
	errno = saved;
}

int hook_mlock(const void *address, size_t bytes)
{
	retire(address, bytes);
	return real_mlock(address, bytes);
}

int hook_mlock2(const void *address, size_t bytes, unsigned flags)
{
	retire(address, bytes);
	return real_mlock2(address, bytes, flags);
}

/*
 * A program that serves the faults of a stack itself, with userfaultfd, does so until the stack is unmapped. So the
 * stack must really be unmapped, and is not pooled. If the kernel has agreed, the argument is readable. Every ioctl
 * of the program passes here.
 */
int hook_ioctl(int fd, unsigned long request, void *argument)
{
	int result = real_ioctl(fd, request, argument);

	if (__builtin_expect((uint32_t)request == (uint32_t)UFFDIO_REGISTER, 0) && result == 0 &&
	        hooks_are(HOOKS_POOL)) {
		struct uffdio_range range = ((struct uffdio_register *)argument)->range;

		if (arena_touches(&stack_arena, (void *)(uintptr_t)range.start, range.len))
			placing_make_way(&stack_arena, (void *)(uintptr_t)range.start, range.len, MAP_FIXED);
	}
	return result;
}

/* The same for ranges that the kernel has read, if it has done something with them. */
static void retire_all(const struct iovec *range, size_t ranges, ssize_t done)
{
	for (size_t i = 0; i < ranges && done > 0; i++)
		retire(range[i].iov_base, range[i].iov_len);
}

/* For the own process this is madvise on another path. For another process it does no harm. */
ssize_t hook_process_madvise(
        int process, const struct iovec *range, size_t ranges, int advice, unsigned flags)
{
	ssize_t done = real_process_madvise(process, range, ranges, advice, flags);

	if (advice == MADV_WILLNEED || advice == MADV_COLD || advice == MADV_PAGEOUT)
		return done;
	retire_all(range, ranges, done);
	return done;
}

/* The pipe has the pages themselves: nobody may write to them when the program has unmapped them. */
ssize_t hook_vmsplice(int pipe, const struct iovec *range, size_t ranges, unsigned flags)
{
	ssize_t done = real_vmsplice(pipe, range, ranges, flags);

	retire_all(range, ranges, done);
	return done;
}

int hook_mlockall(int flags)
{
	int saved = errno, result;

	if (!hooks_are(HOOKS_POOL))
		return real_mlockall(flags);
	arena_shrink(&stack_arena);
	arena_start_over(&stack_arena);
	errno = saved;
	result = real_mlockall(flags);
	/* All memory counts, whoever uses it. */
	if (result != 0 && errno == ENOMEM) {
		arena_vacate(&stack_arena);
		errno = saved;
		result = real_mlockall(flags);
	}
	if (result == 0) {
		arena_start_over(&stack_arena); /* idle slots are now as new mappings will be */
		errno = saved;
	}
	return result;
}

/*
 * The program limits its memory: what it does not use must not take more than a share. The kernel is asked: it may have
 * written the old limit to where the new one was. errno survives.
 */
static void note_limit(int resource)
{
	uint64_t limit = room_note_limit(resource);

	if (limit != RLIM_INFINITY && hooks_are(HOOKS_POOL) && arena_exceeds(&stack_arena, limit) &&
	        is_own_memory())
		arena_vacate(&stack_arena);
}

int hook_setrlimit(int resource, const struct rlimit *limit)
{
	int result = real_setrlimit(resource, limit);

	if (result == 0)
		note_limit(resource);
	return result;
}

int hook_prlimit(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old)
{
	int result = real_prlimit(process, resource, limit, old);

	if (result == 0 && limit != NULL && (process == 0 || process == clock_pid() || process == gettid()))
		note_limit(resource);
	return result;
}
