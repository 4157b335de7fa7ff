/* SPDX-License-Identifier: MIT */
/*
 * Call sites of mmap, and what is known of the mappings that each of them makes. A site is a return address together
 * with a size, so an allocator is judged separately for each size.
 *
 *	known     is in a function that allocates coroutine stacks and nothing else
 *	learned   made 16 mappings that all got a guard page at their low end, without exception
 *	spoiled   made a mapping that did not: never learned again
 *
 * Mappings that are PROT_NONE at first, for the program to open above their guard, are judged separately: see
 * SITES_RESERVED. That they are opened so is their proof.
 *
 * All threads, without locks and system calls: a hook asks before every mapping. One state for the process. A full
 * table learns no more, with a warning; known functions are then looked up each time.
 */
#ifndef COPOOL_ADAPTER_SITES_H
#define COPOOL_ADAPTER_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SITES_MAX = 4096, SITES_PENDING = 256, SITES_PROOFS = 16, SITES_RESERVED_MAX = 64 };

/* Added to the size of a mapping that is PROT_NONE at first, wherever an argument is called `bytes` below. */
enum { SITES_RESERVED = 1 };

enum site_standing { SITE_OTHER, SITE_KNOWN, SITE_LEARNED };

/* Where calls are learned. */
enum sites_learning { SITES_NEVER, SITES_IN_PROGRAM, SITES_EVERYWHERE };

/* Called once, before all others but sites_know. `only_bytes`: learn only mappings of this size; 0: of any. */
void sites_init(enum sites_learning learning, size_t only_bytes);

/*
 * Declares that the code from `low` to `high` allocates coroutine stacks of `owner` and maps nothing else, for a
 * program whose dynamic symbols do not tell. `owner` is a word that sites_owner() can return. False: there is no
 * room, or no such owner. Constructor time.
 */
bool sites_know(const char *owner, uintptr_t low, uintptr_t high);

/*
 * Declares those of the known allocators whose code `find` finds, by the name of its function. Not Boost's, QEMU's, nor
 * any that reserves. Constructor time.
 */
void sites_know_by(bool (*find)(void *to, const char *function, uintptr_t *low, uintptr_t *high), void *to);

/* Whether another adapter has a pool above the stacks of its program. At first: no. Any thread. */
void sites_pool_above(bool is_pooled);
bool sites_are_pooled_above(void);

/* What is known of the mappings of `bytes` (whole pages) by the call at `caller`. */
enum site_standing sites_ask(const void *caller, size_t bytes);

/*
 * Whether the call at `caller` is in a known allocator. Nothing is remembered, so not for frequent use. At any time.
 */
bool sites_is_known(const void *caller);

/* Whether one of the known allocators is in the program, by asking `has` for its name; not for Boost's. */
bool sites_any_known(bool (*has)(const char *function));

/* The owner of the known allocator of the call at `caller`, a short word for the log; "": none. */
const char *sites_owner(const void *caller, size_t bytes);

/* The name of the pool of whose objects these stacks are parts, if there is such a pool; NULL: of none. */
const char *sites_part_of(const void *caller, size_t bytes);

/* Whether the stacks of the call at `caller` are pooled above us, so that an unmapped one is gone for good. */
bool sites_is_pooled(const void *caller, size_t bytes);

/* Whether the code of the call at `caller` sets up each guard page at once. */
bool sites_is_guarded(const void *caller, size_t bytes);

/* Whether a guard page that such code opens again may stay, because it unmaps the stack next. */
bool sites_is_guard_kept(const void *caller, size_t bytes);

/* The call at `caller` has made a mapping that is not ours: begins to learn from it, if that is wanted. */
void sites_note_mapping(const void *caller, const void *address, size_t bytes);

/* The low end of the mapping at `address` has become a guard page: a proof for its call. */
void sites_note_guard(const void *address);

/* The mapping at `address` was unmapped or changed otherwise. If it has had no guard page, that spoils its call. */
void sites_note_end(const void *address);

/*
 * The range was made accessible. If it is readable and writable, and above the low end of a reserved mapping, it is a
 * proof for its call; otherwise as sites_note_end.
 */
void sites_note_open(const void *address, size_t bytes, int protection);

/* A stack of ours was used without a guard page: spoils the call at `caller`. */
void sites_spoil(const void *caller, size_t bytes);

#endif
