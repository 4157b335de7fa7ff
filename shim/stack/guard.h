/* SPDX-License-Identifier: MIT */
/*
 * How a page becomes a guard page, which ends a program that touches it.
 *
 * - GUARD_MADVISE: madvise(MADV_GUARD_INSTALL), Linux 6.13. The mapping stays whole: it takes no memory map.
 * - GUARD_POISON: see stack/poison.h, Linux 6.6. It takes no memory map either, but the signal is SIGBUS.
 * - GUARD_MPROTECT: mprotect(PROT_NONE), always possible. It splits the mapping in two.
 *
 * No state but the caller's; all threads. errno survives.
 */
#ifndef COPOOL_STACK_GUARD_H
#define COPOOL_STACK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

/* From Linux 6.13, for older headers. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

enum guard_means { GUARD_AUTO, GUARD_MADVISE, GUARD_POISON, GUARD_MPROTECT };

/*
 * Returns the means `wanted` (GUARD_AUTO: GUARD_MADVISE), if a page of our own proves that they work here; otherwise
 * GUARD_MPROTECT. Poison is never chosen by itself, because it changes the signal. Sets `can_drop`, unless it is
 * NULL, to whether MADV_DONTNEED has dropped the contents of a page.
 */
enum guard_means guard_probe(enum guard_means wanted, bool *can_drop);

/*
 * Makes `bytes` at `low` a guard. Returns the means that worked, which are `means` or GUARD_MPROTECT (the only ones
 * for locked memory), or -errno.
 */
int guard_install(enum guard_means means, void *low, size_t bytes);

/*
 * Undoes guard_install and gives the pages back their `protection`. Unless the means are mprotect the pages are zero.
 * 0 or -errno.
 */
int guard_remove(enum guard_means means, void *low, size_t bytes, int protection);

/*
 * Turns a guard of any means into pages that mprotect protects, as a normal part of the mapping. 0 or -errno: then
 * the guard is unchanged.
 */
int guard_settle(enum guard_means means, void *low, size_t bytes);

#endif
