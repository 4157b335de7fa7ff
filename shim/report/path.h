/* SPDX-License-Identifier: MIT */
/* The paths that settings name. */
#ifndef COPOOL_REPORT_PATH_H
#define COPOOL_REPORT_PATH_H

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { PATH_PLANTED = EKEYREJECTED }; /* path_check_owner(): no file of ours */

/*
 * Writes to `path` (PATH_MAX bytes) what `setting` stands for: %p or {pid} the process, %n or {name} the program's
 * name, {label} its label, or else its name, both less what could lead elsewhere, %% a per cent sign, %{ a brace, relative to `start_dir`, "" if it has no name. 0, or -errno:
 * -EDOM for another % sequence or word in braces, -ENAMETOOLONG, -ENOENT when the path is relative to a directory that has no name.
 */
int path_expand(char *path, const char *setting, const char *start_dir);

/* Whether two processes get different paths from it. */
bool path_names_process(const char *setting);

/* As open(), but never as one of the standard descriptors, should the host have closed them. A descriptor or
 * -errno. */
int path_open(const char *path, int flags, unsigned mode);

/*
 * Whether an opened file may be written to. In a folder that others may write to (all, or an owner who is neither root
 * nor the user, or, for root, a group), one of them may have put it there: it must be the user's own, or the folder's
 * owner's, and a regular file must have no second name. 0, or -PATH_PLANTED, or what stat() said of the folder. `path`
 * is absolute.
 */
int path_check_owner(const char *path, const struct stat *file);

#endif
