/* SPDX-License-Identifier: MIT */
/*
 * Where in its file a function of a running process begins, found from outside: the kernel sets uprobes by a file and
 * an offset in it.
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
	const char *object;   /* the caller's: how the name of its file begins; NULL: any file */
	bool is_found;
	bool is_dynamic;                /* found: among the symbols for the loader */
	char path[PLACE_PATH];          /* found: the file, which stays open in this process */
	char object_name[PLACE_OBJECT]; /* found: its name, without folders */
	uint64_t offset;                /* found: in that file, in bytes */
};

/*
 * Looks for the functions in the files whose code the process has mapped, in the order of its memory; also in files
 * that have been deleted, or are in another root folder. A clone by the compiler (name.part.0) counts as the
 * function. Returns 0; or -errno: -EACCES if the process may not be looked into, -ESRCH if there is none. Functions
 * that are not found have is_found false.
 */
int places_find(pid_t pid, struct place *place, size_t places);

#endif
