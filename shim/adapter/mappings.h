/* SPDX-License-Identifier: MIT */
/*
 * What a program may do to its mappings, done to ranges that touch the arena: what the kernel would have done
 * to mappings of the program's own. A stack that was treated in a way in which its like will not be is
 * retired: it stays the program's, and is never handed out again. No hole ever appears in the arena, where
 * the kernel could put somebody else's mapping.
 *
 * Results and errno are the system calls'. All threads; two that work on the same range at once get some
 * order.
 */
#ifndef COPOOL_ADAPTER_MAPPINGS_H
#define COPOOL_ADAPTER_MAPPINGS_H

#include "stack/arena.h"

/* Before something is done to the range that outlives the use of a stack. 0 or -errno. */
int mappings_retire(struct arena *arena, const void *address, size_t bytes);

/* munmap. A whole stack that is as it was handed out goes to `release` instead, which owns it then. */
int mappings_unmap(
        struct arena *arena, void *address, size_t bytes, void (*release)(const struct arena_place *place));

/* pkey_mprotect, where a key of -1 makes it mprotect; madvise, mremap. */
int mappings_protect(struct arena *arena, void *address, size_t bytes, int protection, int key);
int mappings_advise(struct arena *arena, void *address, size_t bytes, int advice);
void *mappings_move(
        struct arena *arena, void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address);

#endif
