/* SPDX-License-Identifier: MIT */
/*
 * A file that is replaced whole or not at all: written beside it under another name, then renamed. What is no
 * plain file, as a FIFO, is written to as it is.
 */
#ifndef COPOOL_TOOLS_DRAW_OUTPUT_H
#define COPOOL_TOOLS_DRAW_OUTPUT_H

#include <stdio.h>

struct output {
	FILE *file;
	char *path;      /* NULL: standard output */
	char *temporary; /* NULL: written in place */
};

/* `-` is standard output. 0, or -errno. */
int output_open(struct output *output, const char *path);

/* Ends the writing: the file is there, or -errno tells why it is not; then what was there before still is. */
int output_commit(struct output *output);

/* Ends it with nothing written, where that is possible. */
void output_discard(struct output *output);

#endif
