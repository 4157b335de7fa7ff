/* SPDX-License-Identifier: MIT */
/*
 * Call sites of mmap, and what is known of the mappings that each of them makes. A site is a return address
 * together with a size, so an allocator that is asked for several sizes is judged for each.
 *
 *	known     lies in a function that allocates coroutine stacks and nothing else
 *	learned   made 16 mappings that all got a guard page at their low end, without exception
 *	spoiled   made a mapping that did not: never learned again
 *
 * Mappings that nobody can touch at first (PROT_NONE), for the program to open above their guard, are judged apart: see
 * SITES_RESERVED. Their proof is that they are opened so.
 *
 * Lock-free, for all threads, no system call: a hook asks before every mapping. The state is one per process,
 * as code is. A table that is full learns no more, and says so; what is known of functions it then looks up each time.
 */
#ifndef COPOOL_ADAPTER_SITES_H
#define COPOOL_ADAPTER_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SITES_MAX = 4096, SITES_PENDING = 256, SITES_PROOFS = 16, SITES_RESERVED_MAX = 64 };

/* Added to the bytes of a mapping, whole pages, that is PROT_NONE at first: in all that is called `bytes` below. */
enum { SITES_RESERVED = 1 };

enum site_standing { SITE_OTHER, SITE_KNOWN, SITE_LEARNED };

/* Where learning is wanted. */
enum sites_learning { SITES_NEVER, SITES_IN_PROGRAM, SITES_EVERYWHERE };

/* Called once, before any other but sites_know. `only_bytes`: learn no mappings of another size; 0: of any. */
void sites_init(enum sites_learning learning, size_t only_bytes);

/*
 * The code from `low` to `high` allocates `owner`'s coroutine stacks and maps nothing else; `owner` is one that
 * sites_owner() can return. For a program whose dynamic symbols do not say so. False: there is no room for more,
 * or no such owner. Constructor time.
 */
bool sites_know(const char *owner, uintptr_t low, uintptr_t high);

/* Whether another host of ours keeps the idle ones of a program that has one. At first: no. Any thread. */
void sites_pool_above(bool is_pooled);
bool sites_are_pooled_above(void);

/* What is known of the mappings of `bytes` (whole pages) that the call at `caller` makes. */
enum site_standing sites_ask(const void *caller, size_t bytes);

/* Whether the call at `caller` is in a known allocator. For seldom use: nothing is remembered. At any time. */
bool sites_is_known(const void *caller);

/* Whether one of the known allocators is there: whether `has` says so of its name. Boost's is not asked for. */
bool sites_any_known(bool (*has)(const char *function));

/* Whose known allocator the call at `caller` is in, a short word for the log; "" when in none. */
const char *sites_owner(const void *caller, size_t bytes);

/*
 * Whether the stacks of the call at `caller` are pooled above us, so that one that is unmapped has gone for
 * good.
 */
bool sites_is_pooled(const void *caller, size_t bytes);

/* Whether each stack of the call at `caller` gets its guard page at once, whoever wants it. */
bool sites_is_guarded(const void *caller, size_t bytes);

/* Whether a guard page that such a stack's owner opens again may stay, as the stack is unmapped next. */
bool sites_is_guard_kept(const void *caller, size_t bytes);

/*
 * A mapping that is not ours was made by the call at `caller`: begins to learn from it, where that is wanted.
 */
void sites_note_mapping(const void *caller, const void *address, size_t bytes);

/* The low end of what is mapped at `address` became a guard page: proof for the call that mapped it. */
void sites_note_guard(const void *address);

/*
 * What is mapped at `address` was unmapped or changed in another way: without a guard page it spoils its call.
 */
void sites_note_end(const void *address);

/*
 * The range was made accessible. Where that is for reading and writing, and it lies in a mapping that was reserved, above
 * its low end, it is proof for the call; else it is an end.
 */
void sites_note_open(const void *address, size_t bytes, int protection);

/* A mapping of ours was used without a guard page: the call at `caller` is not what was learned. */
void sites_spoil(const void *caller, size_t bytes);

#endif
