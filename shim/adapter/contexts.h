/* SPDX-License-Identifier: MIT */
/*
 * Boost.Context's coroutines, whose stack allocators are compiled into the program. A function that maps a stack, sets
 * up its guard page and makes a context on it (boost::context::detail::create_fiber1 and others, with all inlined) calls
 * mmap, mprotect and make_fcontext by name, and its code can be seen to. A function that also serves others, and returns
 * what it has mapped, does not call make_fcontext.
 *
 * No state; any thread; takes no lock of the loader's.
 */
#ifndef COPOOL_ADAPTER_CONTEXTS_H
#define COPOOL_ADAPTER_CONTEXTS_H

#include "patch/extent.h"
#include "stack/roots.h"

/* basic_protected_fixedsize_stack<stack_traits>::allocate(), which maps stacks and nothing else, where it is not inlined. */
#define CONTEXTS_ALLOCATE "_ZN5boost7context31basic_protected_fixedsize_stackINS0_12stack_traitsEE8allocateEv"

/* Whether one of Boost's libraries of coroutines is loaded. Takes the loader's lock; constructor time. */
bool contexts_has_boost(void);

/*
 * Whether the function that has called mmap, to return to `caller`, which is running, sets up guard pages and makes
 * contexts. The code must be there as long as the process is: of what could be unloaded nothing is known.
 */
bool contexts_are_made(const void *caller);

/* The same; if so, says in `roots` in which code such contexts have their roots: what it maps can be proven to be stacks. */
void contexts_learn(struct roots *roots, const void *caller);

/*
 * Finds that function in the symbol table of the program's file, which is opened if the program may have one. False: it is
 * not there. Constructor time.
 */
bool contexts_find_allocate(struct extent *allocate);

#endif
