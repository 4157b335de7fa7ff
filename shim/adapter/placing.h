/* SPDX-License-Identifier: MIT */
/*
 * Mappings of the program's that come to lie in the arena: because it maps something at just this place, or because
 * the kernel finds room there that a bare system call has made. The slots are not ours to use any more; a stack that
 * lay there is counted as gone.
 *
 * Results and errno are the system calls'. All threads; of two that want the same place one gets it.
 */
#ifndef COPOOL_ADAPTER_PLACING_H
#define COPOOL_ADAPTER_PLACING_H

#include "stack/arena.h"

#include <sys/types.h>

struct piece;

/* mmap at just this place. */
void *placing_map(
        struct arena *arena, void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

/*
 * The first half of that, before something is mapped: makes room, if it may go there. Returns the flags to map it
 * with: what the program has unmapped is not there for MAP_FIXED_NOREPLACE.
 */
int placing_make_way(struct arena *arena, const void *address, size_t bytes, int flags);

/* And the second, when it was. */
void placing_note_over(const struct arena *arena, const void *address, size_t bytes);

/* Something was mapped that the program did not want to lie here, but does. errno survives. */
void placing_admit(struct arena *arena, const void *address, size_t bytes);

/* Reserves the addresses of a piece, where nothing is. False: there is something. */
bool placing_plug(const struct piece *piece);

#endif
