/* SPDX-License-Identifier: MIT */
/*
 * What a program does to its mappings, if the range touches the arena: the result is what the kernel would have done
 * to mappings of the program's own. A stack that is treated unlike its class is retired: it stays the program's, and
 * is never reused. No hole ever appears in the arena, in which the kernel could place another mapping.
 *
 * Results and errno are the system calls'. All threads; two calls for one range at the same time take effect in some
 * order.
 */
#ifndef COPOOL_ADAPTER_MAPPINGS_H
#define COPOOL_ADAPTER_MAPPINGS_H

#include "stack/arena.h"

/* Before a treatment of the range that outlives the use of a stack. 0 or -errno. */
int mappings_retire(struct arena *arena, const void *address, size_t bytes);

/* munmap. A whole, untreated stack goes to `release`, which owns it then. */
int mappings_unmap(
        struct arena *arena, void *address, size_t bytes, void (*release)(const struct arena_place *place));

/* pkey_mprotect (a key of -1 means mprotect), madvise and mremap. */
int mappings_protect(struct arena *arena, void *address, size_t bytes, int protection, int key);
int mappings_advise(struct arena *arena, void *address, size_t bytes, int advice);
void *mappings_move(
        struct arena *arena, void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address);

#endif
