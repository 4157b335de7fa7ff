/* SPDX-License-Identifier: MIT */
/* The settings in force: of the files and the environment, with where each comes from. */
#ifndef COPOOL_TOOLS_DOCTOR_FORCE_H
#define COPOOL_TOOLS_DOCTOR_FORCE_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "doctor/sheet.h"

/* Whose settings. */
struct force {
	const char *program;   /* the path or the name of its file */
	const char *label;     /* its label, if it is known; else NULL */
	const char *root;      /* goes before the files' paths; "" for /; NULL: for this process */
	uid_t user;            /* as whom it runs */
	const char *variables; /* its environment, a NUL behind each variable; NULL: this command's */
	size_t bytes;
};

/* Tells of all that is set, and writes the value of `log` to that ("": none). */
void force_tell(struct sheet *sheet, const struct force *force, char log[PATH_MAX]);

#endif
