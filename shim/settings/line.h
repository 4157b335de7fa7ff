/* SPDX-License-Identifier: MIT */
/* The lines of one file of settings, in one pass. files.c reads the file. */
#ifndef COPOOL_SETTINGS_LINE_H
#define COPOOL_SETTINGS_LINE_H

#include "settings/files.h"

#include <stdbool.h>
#include <stddef.h>

struct settings_lines {
	struct settings_reading *reading;
	bool is_second;           /* this pass is for the sections for labels alone */
	unsigned char file, rank; /* as in struct settings_source */
	bool applies;             /* what follows is for this program, in this pass */
	bool is_checked;          /* what is wrong in what follows is told */
	unsigned line;
	bool is_cut; /* the line is too long */
	size_t used;
	char text[SETTINGS_LINE_BYTES];
};

/* Begins a file: 0, or 1 + its place among the names. */
void settings_lines_begin(
        struct settings_lines *lines, struct settings_reading *reading, bool is_second, unsigned file);

/* Takes what comes next in the file. */
void settings_lines_take(struct settings_lines *lines, const char *piece, size_t bytes);

/* The file has ended, or could not be read on for this errno value; 0: it has ended. */
void settings_lines_end(struct settings_lines *lines, int error);

#endif
