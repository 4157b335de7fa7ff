/* SPDX-License-Identifier: MIT */
/*
 * Guard pages: how a page becomes one that kills who touches it.
 *
 * - GUARD_MADVISE: madvise(MADV_GUARD_INSTALL), Linux 6.13. The mapping stays whole: no memory map is taken.
 * - GUARD_POISON: see stack/poison.h, Linux 6.6. No memory map either, but the signal is SIGBUS.
 * - GUARD_MPROTECT: mprotect(PROT_NONE), always. It splits the mapping in two.
 *
 * No state but the caller's; all threads. errno survives.
 */
#ifndef COPOOL_STACK_GUARD_H
#define COPOOL_STACK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

/* Of Linux 6.13, for older headers. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

enum guard_means { GUARD_AUTO, GUARD_MADVISE, GUARD_POISON, GUARD_MPROTECT };

/*
 * What is `wanted`, GUARD_AUTO being GUARD_MADVISE, if a page of our own proves that it works here; else
 * GUARD_MPROTECT. Poison is never chosen unasked: it changes the signal. `can_drop`, unless it is NULL: whether
 * MADV_DONTNEED has been seen to drop what is in a page.
 */
enum guard_means guard_probe(enum guard_means wanted, bool *can_drop);

/*
 * Makes `bytes` at `low` a guard. Returns the means that worked, `means` or GUARD_MPROTECT in its place
 * (locked memory takes no other), or -errno.
 */
int guard_install(enum guard_means means, void *low, size_t bytes);

/* Undoes guard_install, giving the pages back their `protection`; after all but mprotect they are zero. 0 or
 * -errno. */
int guard_remove(enum guard_means means, void *low, size_t bytes, int protection);

/*
 * Turns a guard of any means into pages that are protected by mprotect: an honest part of the mapping, for
 * whatever the program does next. 0 or -errno, then it is the guard that it was.
 */
int guard_settle(enum guard_means means, void *low, size_t bytes);

#endif
