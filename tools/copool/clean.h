/* SPDX-License-Identifier: MIT */
/*
 * Text from outside (names in a log or a process, paths, what programs say of themselves) may hold anything. Every verb
 * prints it through these functions, so that it cannot control the terminal or look like something else.
 */
#ifndef COPOOL_TOOLS_CLEAN_H
#define COPOOL_TOOLS_CLEAN_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Copies `from` to `to` of `room` bytes, cut at a character if it is longer; `?' stands for each control character (C0,
 * DEL, C1), separator of lines, mark that turns the direction of what follows, and byte that is not UTF-8. Returns the
 * bytes copied.
 */
size_t clean_copy(char *to, size_t room, const char *from);

/* The same, as an argument of printf: one of the next few calls reuses the buffer that this one returns. */
const char *clean(const char *text);

/* The number of characters; the columns, if each takes one. */
size_t clean_width(const char *text);

/* Writes JSON in plain ASCII, with escapes for all else. `flags`: jansson's. */
void clean_json(json_t *json, size_t flags, FILE *file);

#endif
