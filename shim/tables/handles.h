/* SPDX-License-Identifier: MIT */
/*
 * A set of objects with a small number for each, such as its pool or where it was created. Lock-free; any thread. Its size
 * is fixed: a handle that finds no room is not in it.
 */
#ifndef COPOOL_TABLES_HANDLES_H
#define COPOOL_TABLES_HANDLES_H

#include <stdbool.h>

struct handles;

enum { HANDLES_ABSENT = -1 };

/* Maps an empty set, which is never unmapped. Returns NULL if there is no memory. Pages are used as handles come. */
struct handles *handles_make(void);

/* Adds a handle that is not in it; `number` is 0 .. 65535. Returns false if there is no room. */
bool handles_add(struct handles *handles, const void *handle, unsigned number);

/* Returns the handle's number, or HANDLES_ABSENT. */
int handles_find(const struct handles *handles, const void *handle);

/* Removes a handle, if it is in it. */
void handles_remove(struct handles *handles, const void *handle);

/* Adds to each count[n], n < numbers, how many handles have the number n. */
void handles_count(const struct handles *handles, unsigned *count, unsigned numbers);

#endif
