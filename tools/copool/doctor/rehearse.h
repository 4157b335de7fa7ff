/* SPDX-License-Identifier: MIT */
/* Lets the library itself say how it would serve a program, before any of the program's code has run. */
#ifndef COPOOL_TOOLS_DOCTOR_REHEARSE_H
#define COPOOL_TOOLS_DOCTOR_REHEARSE_H

#include <jansson.h>

enum { REHEARSE_WHY = 512, REHEARSE_SAID = 1024 };

struct rehearsal {
	json_t *open;             /* the library's `open` record, the caller's; NULL: there is none */
	char why[REHEARSE_WHY];   /* and why: a clause */
	char said[REHEARSE_SAID]; /* what the loader or the library wrote to standard error; "": nothing */
};

/*
 * Starts `path`, an ELF program of this machine, under the library `shim`, and kills it before its first instruction.
 * Nothing of the program or its libraries runs but what the loader calls to bind functions (the resolvers of indirect
 * ones): their initializers are left out. No log is written. Returns 0; or -errno and `why`.
 */
int rehearse(const char *path, const char *shim, struct rehearsal *rehearsal);

#endif
