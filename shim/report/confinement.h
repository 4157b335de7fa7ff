/* SPDX-License-Identifier: MIT */
/*
 * What confines this process, as far as it can see, and why a file may have been denied. Where there is nothing to
 * write, nothing of this is read. The statistics thread enters; while there is none, the thread that writes instead.
 */
#ifndef COPOOL_REPORT_CONFINEMENT_H
#define COPOOL_REPORT_CONFINEMENT_H

#include <stddef.h>

enum { CONFINEMENT_BYTES = 256 };

/* A list in English, such as "AppArmor profile vm (enforce), NoNewPrivs"; "": nothing is known. */
void confinement_say(char text[CONFINEMENT_BYTES]);

/*
 * The reason why `path` could not be opened for writing: what `error` (-errno) means, and what probably denied it: a
 * security module, if one is in force or the file's permissions would allow it.
 */
void confinement_explain(int error, const char *path, char text[CONFINEMENT_BYTES]);

#endif
