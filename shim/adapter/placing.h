/* SPDX-License-Identifier: MIT */
/*
 * New mappings of the program's in the arena: because the program asks for just this place, or because the kernel
 * finds room that a bare system call has made there. The slots there are not ours any more; a stack that lay there
 * counts as gone.
 *
 * Results and errno are the system calls'. All threads; if two want the same place, one gets it.
 */
#ifndef COPOOL_ADAPTER_PLACING_H
#define COPOOL_ADAPTER_PLACING_H

#include "stack/arena.h"

#include <sys/types.h>

struct piece;

/* mmap at a fixed place. */
void *placing_map(
        struct arena *arena, void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

/*
 * The first half of that, before the mapping: makes room, if the program may map there. Returns the flags to map
 * with: for MAP_FIXED_NOREPLACE, what the program has unmapped is free.
 */
int placing_make_way(struct arena *arena, const void *address, size_t bytes, int flags);

/* The second half, after the mapping. */
void placing_note_over(const struct arena *arena, const void *address, size_t bytes);

/* Notes that the kernel has placed a new mapping here. errno survives. */
void placing_admit(struct arena *arena, const void *address, size_t bytes);

/* Reserves the addresses of a piece. False: something is there. */
bool placing_plug(const struct piece *piece);

#endif
