/* SPDX-License-Identifier: MIT */
/* The paths in settings: what they stand for, and whether it is safe to write there. */
#ifndef COPOOL_REPORT_PATH_H
#define COPOOL_REPORT_PATH_H

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { PATH_PLANTED = EKEYREJECTED }; /* path_check_owner(): another user may have put the file there */

/*
 * Writes what `setting` stands for to `path` (PATH_MAX bytes). %p or {pid} stands for the process id, %n or {name} for
 * the program's name, {label} for its label (its name if it has none), %% for a per cent sign, %{ for a brace. Names
 * lose what could lead to another folder. A relative path begins at `start_dir`, which is "" if that folder has no
 * name.
 *
 * Returns 0, or -EDOM for any other % or word in braces, -ENAMETOOLONG, or -ENOENT for a path relative to "".
 */
int path_expand(char *path, const char *setting, const char *start_dir);

/* Whether each process gets a path of its own from `setting`. */
bool path_names_process(const char *setting);

/* As open(), but never returns 0, 1 or 2, which the program may have closed. Returns a descriptor or -errno. */
int path_open(const char *path, int flags, unsigned mode);

/*
 * Whether an opened file may be written to. A folder is unsafe if everybody may write to it, if its owner is neither
 * root nor the user, or, for root, if its group may write to it. There the file must belong to the user or to the
 * folder's owner, and a regular file must have only one name. `path` must be absolute. Returns 0, -PATH_PLANTED, or
 * -errno if the folder cannot be looked at.
 */
int path_check_owner(const char *path, const struct stat *file);

#endif
