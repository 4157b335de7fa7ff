/* SPDX-License-Identifier: MIT */
/*
 * The files of the process's memory control group, of version 2, 1 or both. Opens files for a moment: for the
 * constructor, or for a thread with its own table of descriptors.
 */
#ifndef COPOOL_SYSTEM_CGROUP_H
#define COPOOL_SYSTEM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* The beginning of a file, with a closing zero; no file of a group is longer. */
enum { CGROUP_TEXT_BYTES = 8192 };

/*
 * Opens a file of the group. `second` and `first` are its names in the two versions, or NULL. `root` is "", or a
 * folder in place of the root. Returns a descriptor, or -1 if there is no such file.
 */
int cgroup_open(const char *root, const char *second, const char *first);

/* Whether the group's files may not be opened. False: they may, or there is no group. errno survives. */
bool cgroup_is_denied(const char *root);

/* Reads an open file from its beginning. False: it is empty, and so is `text`. `fd` may be -1. */
bool cgroup_read(int fd, char text[CGROUP_TEXT_BYTES]);

/* The lowest memory limit of the group and those above it, in bytes; UINT64_MAX: none. */
uint64_t cgroup_memory_limit(const char *root);

#endif
