/* SPDX-License-Identifier: MIT */
/* What a program's file says, and what the library says of it. */
#ifndef COPOOL_TOOLS_DOCTOR_PROGRAM_H
#define COPOOL_TOOLS_DOCTOR_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

#include "doctor/sheet.h"
#include "run/target.h"

struct program {
	const char *name;      /* as the user called it */
	char path[PATH_MAX];   /* "": there is none */
	char nearby[PATH_MAX]; /* where there is none: a file that may be meant; "": nor is there one */
	char shim[PATH_MAX];   /* libcopool.so; "": there is none */
	struct target target;
	bool is_process; /* it runs */
	bool is_loaded;  /* and has the library */
};

/* Finds the program as execvp(3) would. Returns whether there is one that can be looked at. */
bool program_find(struct sheet *sheet, struct program *program, const char *name);

/* The kind of its file, and what keeps the library out. */
void program_examine(struct sheet *sheet, struct program *program);

/* Starts it under the library as far as that is harmless, and tells how it would be served. */
void program_try(struct sheet *sheet, const struct program *program);

/* Whether COPOOL_HOST=off, or that line of a settings file, is why nothing of it would be pooled. */
bool program_is_switched_off(const struct sheet *sheet);

/* For a program that has nothing to pool: what may help its kind. */
void program_hint(struct sheet *sheet, const struct program *program);

/* The facts of an `open` record; `source` says where it is from. */
void program_tell_adapter(struct sheet *sheet, const json_t *open, const char *source);

/* The version of QEMU or PHP that is in a file of this name. */
void program_version(struct sheet *sheet, const char *path, const char *name);

/* Whether a library that the program loads later has coroutines that copool knows. */
void program_library(struct sheet *sheet, const char *path);

#endif
