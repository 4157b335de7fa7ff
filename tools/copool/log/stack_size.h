/* SPDX-License-Identifier: MIT */
/* What a log's record of how deep stacks were used means for who sets their size. */
#ifndef COPOOL_TOOLS_LOG_STACK_SIZE_H
#define COPOOL_TOOLS_LOG_STACK_SIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	DEPTH_STACKS_MIN = 100,    /* fewer tell too little for advice */
	DEPTH_SIZE_MIN = 64 << 10, /* no smaller size is ever recommended */
	DEPTH_TEXT = 256,
};

/* Whether the pool's name says that `owner` asks for its stacks. */
bool depth_is_of(const json_t *record, const char *owner);

/* Says in a sentence what was seen, and what would do: into `text` of DEPTH_TEXT bytes. */
void depth_say(const json_t *record, char *text);

/* The record with the size that would do, if one is to be recommended: a new reference. */
json_t *depth_as_json(const json_t *record);

/* A number of bytes as people write it, such as 28 KiB: into `text` of `room` bytes, which it returns. */
char *depth_size(json_int_t bytes, char *text, size_t room);

#endif
