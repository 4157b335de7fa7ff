/* SPDX-License-Identifier: MIT */
/*
 * The compiler reads this before every file (-include in the Makefile). With _GNU_SOURCE, the headers of glibc 2.38 and
 * newer turn strtol(), sscanf() and their like into functions for C23 (__isoc23_strtol), which older versions do not
 * have: a library compiled there would not start here. They ask these macros, which <features.h> sets once. What else
 * newer headers may bring, tests/63-old-libc.bats finds.
 */
#ifndef COPOOL_LIBC_REDIRECT_H
#define COPOOL_LIBC_REDIRECT_H

/* A distribution may ask for it: on 64 bits it only names mmap() mmap64(), and exports.c has both. */
#undef _FILE_OFFSET_BITS

#include <features.h>

#undef __GLIBC_USE_C2X_STRTOL
#define __GLIBC_USE_C2X_STRTOL 0
#undef __GLIBC_USE_C23_STRTOL /* from 2.41 on */
#define __GLIBC_USE_C23_STRTOL 0

#endif
