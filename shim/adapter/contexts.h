/* SPDX-License-Identifier: MIT */
/*
 * Boost.Context's coroutines, whose stack allocators are compiled into the program. A function that maps a stack,
 * sets up its guard page and makes a context on it (boost::context::detail::create_fiber1 and others, with everything
 * inlined) calls mmap, mprotect and make_fcontext by name, which its code shows. A function that returns what it has
 * mapped to others does not call make_fcontext.
 *
 * No state; any thread; takes no lock of the loader's but object_find()'s unless it says so.
 */
#ifndef COPOOL_ADAPTER_CONTEXTS_H
#define COPOOL_ADAPTER_CONTEXTS_H

#include "patch/extent.h"
#include "stack/roots.h"

/* basic_protected_fixedsize_stack<stack_traits>::allocate(), which maps only stacks, unless it is inlined. */
#define CONTEXTS_ALLOCATE "_ZN5boost7context31basic_protected_fixedsize_stackINS0_12stack_traitsEE8allocateEv"

/* Whether one of Boost's libraries of coroutines is loaded. Takes the loader's lock; constructor time. */
bool contexts_has_boost(void);

/*
 * Whether the function that is just calling mmap, and continues at `caller`, sets up guard pages and makes contexts.
 * Its code must stay for the life of the process: nothing is known of what could be unloaded.
 */
bool contexts_are_made(const void *caller);

/* The same; if so, sets the code of their roots in `roots`, so that its mappings can be proven to be stacks. */
void contexts_learn(struct roots *roots, const void *caller);

/*
 * Finds that function in the symbol table of the program's file, which is opened only if the program may have it.
 * False: it is not there. Constructor time.
 */
bool contexts_find_allocate(struct extent *allocate);

#endif
