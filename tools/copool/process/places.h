/* SPDX-License-Identifier: MIT */
/*
 * Where in its file a function of a running process begins, read from outside: the kernel's uprobes are set by
 * a file and an offset in it. ELF files are read by libelf.
 */
#ifndef COPOOL_TOOLS_PROCESS_PLACES_H
#define COPOOL_TOOLS_PROCESS_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PLACE_PATH = 32, PLACE_OBJECT = 64 };

struct place {
	const char *function; /* the caller's: the symbol's name */
	const char *object;   /* the caller's: how the name of its file begins; NULL: any file will do */
	bool is_found;
	char path[PLACE_PATH];          /* found: the file, open in this process for good */
	char object_name[PLACE_OBJECT]; /* found: its name, without folders */
	uint64_t offset;                /* found: in that file, in bytes */
};

/*
 * Looks for the functions in the files whose code the process has mapped, in the order of its memory; also in a file
 * that was deleted since, or lies in a root folder of its own. A function that the compiler has cloned (name.part.0)
 * counts as the function. 0; or -errno: -EACCES when the process may not be looked into, -ESRCH when there is none.
 * What is not found says so.
 */
int places_find(pid_t pid, struct place *place, size_t places);

#endif
