/* SPDX-License-Identifier: MIT */
/* Which stack size to set, from a log's record of how deep stacks were used. */
#ifndef COPOOL_TOOLS_LOG_STACK_SIZE_H
#define COPOOL_TOOLS_LOG_STACK_SIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	DEPTH_STACKS_MIN = 100,    /* fewer are too few for advice */
	DEPTH_SIZE_MIN = 64 << 10, /* no smaller size is ever recommended */
	DEPTH_TEXT = 256,
};

/* Whether the pool's name says that `owner` asks for its stacks. */
bool depth_is_of(const json_t *record, const char *owner);

/* Writes what was seen, and which size is enough, to `text` of DEPTH_TEXT bytes. */
void depth_say(const json_t *record, char *text);

/* The record, with the recommended size if there is one: a new reference. */
json_t *depth_as_json(const json_t *record);

/* Writes a number of bytes, such as 28 KiB, to `text` of `room` bytes, which it returns. */
char *depth_size(json_int_t bytes, char *text, size_t room);

#endif
