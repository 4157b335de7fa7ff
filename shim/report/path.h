/* The paths that settings name. */
#ifndef COPOOL_REPORT_PATH_H
#define COPOOL_REPORT_PATH_H

#include <stdbool.h>

/*
 * Writes to `path` (PATH_MAX bytes) what `setting` stands for: %p the process, %n the program's name, %% a
 * per cent sign, relative to `start_dir`, "" if it has no name. 0, or -errno: -EDOM for another % sequence,
 * -ENAMETOOLONG, -ENOENT when the path is relative to a directory that has no name.
 */
int path_expand(char *path, const char *setting, const char *start_dir);

/* Whether two processes get different paths from it. */
bool path_names_process(const char *setting);

/* As open(), but never as one of the standard descriptors, should the host have closed them. A descriptor or
 * -errno. */
int path_open(const char *path, int flags, unsigned mode);

#endif
