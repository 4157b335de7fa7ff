/* SPDX-License-Identifier: MIT */
/*
 * A file that is replaced as a whole or not at all: it is written beside it under another name, then renamed. Other
 * kinds of files, such as a FIFO, are written in place.
 */
#ifndef COPOOL_TOOLS_DRAW_OUTPUT_H
#define COPOOL_TOOLS_DRAW_OUTPUT_H

#include <stdio.h>

struct output {
	FILE *file;
	char *path;      /* NULL: standard output */
	char *temporary; /* NULL: written in place */
};

/* `-` is standard output. Returns 0, or -errno. */
int output_open(struct output *output, const char *path);

/* Puts the file in place. Returns 0; or -errno, and an old file stays. */
int output_commit(struct output *output);

/* Ends it with nothing written, if that is possible. */
void output_discard(struct output *output);

#endif
