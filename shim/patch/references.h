/* SPDX-License-Identifier: MIT */
/*
 * Where code refers to an address: whether a function has other callers.
 *
 * references_x86.c and references_aarch64.c. No state; reads the memory that it is given. Any thread.
 */
#ifndef COPOOL_PATCH_REFERENCES_H
#define COPOOL_PATCH_REFERENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REFERENCES_MOST = 64 };

/* The calls of an address, and the unconditional jumps to it. */
struct references {
	uintptr_t target; /* set by the caller */
	size_t count;     /* of all that were found */
	/* Of the first: where the distances lie, or on aarch64 the instructions that contain them. */
	uintptr_t place[REFERENCES_MOST];
};

/*
 * Finds the direct calls of and long jumps to each of `number` targets in the code from `low` to `high`, in one pass.
 * It may count other bytes that look like one; it never misses one.
 */
void references_find(uintptr_t low, uintptr_t high, struct references *references, size_t number);

/*
 * Whether the code from `low` to `high` branches, jumps or calls to one of the addresses from `first` to `last`, both
 * included, with a long distance. Other bytes may look like it; it never misses one.
 */
bool references_lead_to(uintptr_t low, uintptr_t high, uintptr_t first, uintptr_t last);

#endif
