/* SPDX-License-Identifier: MIT */
/*
 * What comes from outside (names in a log or a process, paths, what programs say of themselves) may hold anything; what
 * is printed steers no terminal and looks like what it is. Every verb prints such texts through these.
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

/* The same, for one of the arguments of printf: one of the next few calls reuses what this one returns. */
const char *clean(const char *text);

/* The number of characters, as far as they take a column each. */
size_t clean_width(const char *text);

/* Writes JSON in plain ASCII: what another reader makes of its escapes is exact. `flags`: jansson's. */
void clean_json(json_t *json, size_t flags, FILE *file);

#endif
