/* SPDX-License-Identifier: MIT */
/* The program that `copool run` is to start: where it is, and whether a preload can work in it. */
#ifndef COPOOL_TOOLS_RUN_TARGET_H
#define COPOOL_TOOLS_RUN_TARGET_H

#include <stddef.h>

/*
 * Finds `name` as execvp(3) would and writes its path to `path` (PATH_MAX bytes). Returns 0, or -errno: -ENOENT, or
 * -EACCES if there are only files that may not be executed.
 */
int target_find(const char *name, char *path);

/*
 * Whether the loader will load the library `shim` into `path`; for a script, into its interpreter. Returns 0; or
 * -errno, with the reason in `reason` (a clause: "is statically linked, ...").
 */
int target_check(const char *path, const char *shim, char *reason, size_t reason_bytes);

#endif
