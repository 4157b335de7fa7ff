/* SPDX-License-Identifier: MIT */
/* The program that `copool run` is to start: where it is, and whether a preload can work in it. */
#ifndef COPOOL_TOOLS_RUN_TARGET_H
#define COPOOL_TOOLS_RUN_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Finds `name` as execvp(3) would and writes its path to `path` (PATH_MAX bytes). Returns 0, or -errno: -ENOENT, or
 * -EACCES if there are only files that may not be executed.
 */
int target_find(const char *name, char *path);

enum { TARGET_REASON = 2 * PATH_MAX };

/* What target_check() finds. */
struct target {
	char root[32];       /* the caller sets what stands for / in the loader's path; "": / itself */
	uid_t user;          /* the caller sets who is to start the program */
	gid_t group;         /* and its group */
	bool is_script;      /* `path` is a script */
	char file[PATH_MAX]; /* the ELF file that is loaded: the program or, for a script, its interpreter */
	const char *machine; /* what it is for; NULL: it is not ELF */
	int glibc_needed, glibc_defined; /* 2.N, of the library and of the program's libc; 0: not known */
	const char *code;                /* why it is refused, a word; NULL: it is not */
	char reason[TARGET_REASON];      /* and a clause: "is statically linked, ..." */
};

/*
 * Whether the loader will load the library `shim` into `path`; for a script, into its interpreter. Returns 0; or
 * -errno, with the reason in `target`. The codes are in copool(1), under doctor.
 */
int target_check(const char *path, const char *shim, struct target *target);

#endif
