/* SPDX-License-Identifier: MIT */
/*
 * Where code refers to an address: the only callers of a function, or not.
 *
 * x86-64. No state; reads memory that it is told of. Any thread.
 */
#ifndef COPOOL_PATCH_REFERENCES_H
#define COPOOL_PATCH_REFERENCES_H

#include <stddef.h>
#include <stdint.h>

enum { REFERENCES_MOST = 64 };

/* The calls of one address, and the unconditional jumps to it. */
struct references {
	uintptr_t target;                 /* the caller's */
	size_t count;                     /* of them */
	uintptr_t place[REFERENCES_MOST]; /* the addresses of the first of them: where the four bytes of the
	                                      distance are */
};

/*
 * Finds the direct calls and long jumps to each of `number` targets among the code from `low` to `high`, in one pass.
 * It may count bytes that look like one and are none; it never misses one.
 */
void references_find(uintptr_t low, uintptr_t high, struct references *references, size_t number);

#endif
