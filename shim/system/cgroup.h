/* SPDX-License-Identifier: MIT */
/*
 * The files of the process's memory control group, version 2 or 1, also side by side. Open files of its own
 * for a moment: for the constructor, or a thread with a table of descriptors of its own.
 */
#ifndef COPOOL_SYSTEM_CGROUP_H
#define COPOOL_SYSTEM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* The beginning of a file, at least as much as a group's file ever has, with a closing zero. */
enum { CGROUP_TEXT_BYTES = 8192 };

/*
 * Opens a file of the group; `second` and `first` are its names in the two versions, NULL where one has none.
 * `root` is "", or a folder that stands for the root. A descriptor, or -1 when there is no such file.
 */
int cgroup_open(const char *root, const char *second, const char *first);

/* Reads an open file from its beginning; false when there is nothing, and `text` is empty. -1 is no file. */
bool cgroup_read(int fd, char text[CGROUP_TEXT_BYTES]);

/* The least of the limits on memory that hold for the group and those above it, in bytes; UINT64_MAX: none. */
uint64_t cgroup_memory_limit(const char *root);

#endif
