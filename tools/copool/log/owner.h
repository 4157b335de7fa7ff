/* SPDX-License-Identifier: MIT */
/* Whose objects a pool has, by its record; logs of before 0.2.0 say so in the pool's name alone. */
#ifndef COPOOL_TOOLS_LOG_OWNER_H
#define COPOOL_TOOLS_LOG_OWNER_H

#include <jansson.h>
#include <stdbool.h>

/* Whether a pool's objects are `owner`'s. `record` is a sample, a final or a depth; it may be NULL. */
bool owner_is(const json_t *record, const char *owner);

/* The name of the pool of whose objects those of this one are parts, if there is such a pool; NULL: of none. */
const char *owner_part_of(const json_t *record);

#endif
