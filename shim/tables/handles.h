/* SPDX-License-Identifier: MIT */
/*
 * A set of objects, with a small number for each: of which pool it is, or where it was created. Lock-free,
 * for all threads; fixed in size, and a handle that finds no room is simply not in it.
 */
#ifndef COPOOL_TABLES_HANDLES_H
#define COPOOL_TABLES_HANDLES_H

#include <stdbool.h>

struct handles;

enum { HANDLES_ABSENT = -1 };

/* An empty set, mapped and never unmapped; NULL when there is no memory. Memory is used as handles come. */
struct handles *handles_make(void);

/* Adds a handle that is not there; `number` is 0 .. 65535. False: no room. */
bool handles_add(struct handles *handles, const void *handle, unsigned number);

/* The handle's number, or HANDLES_ABSENT. */
int handles_find(const struct handles *handles, const void *handle);

/* Removes a handle, if it is there. */
void handles_remove(struct handles *handles, const void *handle);

/* Adds to count[n] how many handles have the number n, for each n below `numbers`. */
void handles_count(const struct handles *handles, unsigned *count, unsigned numbers);

#endif
