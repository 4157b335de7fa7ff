/* SPDX-License-Identifier: MIT */
/*
 * The fast paths of pool.h as machine code, to be put right behind a patched function's entry: a caller whose
 * thread's cache serves it takes one jump and is through, with no hook in between.
 */
#ifndef COPOOL_POOL_ENTRY_X86_H
#define COPOOL_POOL_ENTRY_X86_H

#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

enum { ENTRY_CODE_BYTES = 192 }; /* that any of these needs at most */

/* What becomes of an object from a thread's cache before it is returned. */
struct entry_arming {
	const uint8_t *code; /* has the object in %rax and the caller's arguments; may change %rcx and %rdx */
	size_t bytes;
	/* Called instead where the cache is empty or closed: slow(1st argument, 2nd, the cache, what was found in it) */
	const void *slow;
};

/*
 * Writes code that does what a function of two arguments does that returns an object of the pool, armed. It may run
 * wherever it is copied to. Returns its bytes; 0 where there is none: other processors, ThreadSanitizer, or
 * thread-local storage out of reach.
 */
size_t entry_get(uint8_t code[ENTRY_CODE_BYTES], unsigned index, const struct entry_arming *arming);

/* Where in a function an object ends. */
struct entry_place {
	const uint8_t *first; /* the instruction that the code takes the place of: it runs first */
	unsigned first_bytes;
	unsigned object; /* the number of the register that holds the object, one of those that calls keep */
};

enum { ENTRY_EXITS = 2 };

/*
 * Writes code that puts an object into the pool in the middle of a function, and goes on elsewhere in it. All
 * general registers are as before then. `exit` gets the offsets of the 32-bit distances to where the function
 * goes on, which the caller fills in; `*exits` how many there are. Returns the bytes; 0 on other processors.
 */
size_t entry_put(uint8_t code[ENTRY_CODE_BYTES], struct pool *pool, unsigned index,
        const struct entry_place *place, size_t exit[ENTRY_EXITS], size_t *exits);

#endif
