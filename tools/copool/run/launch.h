/* SPDX-License-Identifier: MIT */
/* A program that is to be run with libcopool.so preloaded, as every verb does it that runs one. */
#ifndef COPOOL_TOOLS_RUN_LAUNCH_H
#define COPOOL_TOOLS_RUN_LAUNCH_H

#include <limits.h>

struct launch {
	const char *verb;    /* for messages */
	char **program;      /* the caller's: its name and its arguments */
	char shim[PATH_MAX]; /* libcopool.so */
	char path[PATH_MAX]; /* the program's file */
};

/* Writes where libcopool.so is to `path` (PATH_MAX bytes). 0; or -ENOENT. */
int launch_find_shim(char *path);

/* 0; or the exit status, and what is wrong has been said. */
int launch_prepare(struct launch *launch, const char *verb, char **program);

/*
 * Becomes the program, with the library in front of what LD_PRELOAD names already. Returns only when that
 * failed: the exit status, and why has been said.
 */
int launch_exec(const struct launch *launch);

#endif
