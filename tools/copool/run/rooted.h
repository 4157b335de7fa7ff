/* SPDX-License-Identifier: MIT */
/*
 * Files below another process's root folder, /proc/PID/root, or below / for "". A symbolic link there leads to what it
 * leads to in that process, so that nobody in a container can have a file of the host read. Only regular files are
 * opened: another kind could block.
 */
#ifndef COPOOL_TOOLS_RUN_ROOTED_H
#define COPOOL_TOOLS_RUN_ROOTED_H

#include <limits.h>
#include <stdbool.h>

/* Opens a file for reading. Returns -1 with errno; ENOSYS before Linux 5.6. */
int rooted_open(const char *root, const char *path);

/* Whether there is such a file that may be read; else errno says why. */
bool rooted_has(const char *root, const char *path);

/* Follows the links that a path's last name leads to: `path` becomes that of the file itself. Returns whether it is there. */
bool rooted_follow(const char *root, char path[PATH_MAX]);

#endif
