/* SPDX-License-Identifier: MIT */
/* Which version of the GNU C library an ELF file needs, or is. */
#ifndef COPOOL_TOOLS_RUN_GLIBC_H
#define COPOOL_TOOLS_RUN_GLIBC_H

/* The N of the latest GLIBC_2.N that a file needs, or that a libc defines; 0: none, or it cannot be read. */
int glibc_needed(const char *path);
int glibc_defined(const char *path);

#endif
