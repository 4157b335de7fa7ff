/* SPDX-License-Identifier: MIT */
/* Which stack size to set, from a log's record of how deep stacks were used. */
#ifndef COPOOL_TOOLS_LOG_STACK_SIZE_H
#define COPOOL_TOOLS_LOG_STACK_SIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { STACK_SIZE_TEXT = 256 };

/* Writes what was seen, and which size is enough, to `text` of STACK_SIZE_TEXT bytes. */
void stack_size_say(const json_t *record, char *text);

/* The record, with the recommended size if there is one: a new reference. */
json_t *stack_size_as_json(const json_t *record);

#endif
