/* SPDX-License-Identifier: MIT */
/* Runs a program with libcopool.so preloaded, for every verb that does. */
#ifndef COPOOL_TOOLS_RUN_LAUNCH_H
#define COPOOL_TOOLS_RUN_LAUNCH_H

#include <limits.h>

struct launch {
	const char *verb;    /* for messages */
	char **program;      /* the caller's: its name and its arguments */
	char shim[PATH_MAX]; /* libcopool.so */
	char path[PATH_MAX]; /* the program's file */
};

/* Writes the path of libcopool.so to `path` (PATH_MAX bytes). Returns 0, or -ENOENT. */
int launch_find_shim(char *path);

/* Finds and checks the program and the library. Returns 0; or the exit status, after a message. */
int launch_prepare(struct launch *launch, const char *verb, char **program);

/*
 * Becomes the program, with the library before what LD_PRELOAD already names. Returns only if that failed: the exit
 * status, after a message.
 */
int launch_exec(const struct launch *launch);

#endif
