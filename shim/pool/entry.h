/* SPDX-License-Identifier: MIT */
/*
 * The fast paths as machine code, for the entry of a patched function or for a place inside it. A call that the thread's
 * cache serves costs one jump, and calls no hook.
 *
 * entry_x86.c; entry_aarch64.c has no fast path, and calls pool_put().
 */
#ifndef COPOOL_POOL_ENTRY_H
#define COPOOL_POOL_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

enum { ENTRY_CODE_BYTES = 192 }; /* room that any of these needs */

/* What is done to an object from a thread's cache before it is returned. */
struct entry_arming {
	const uint8_t *code; /* has the object in %rax and the caller's arguments; may change %rcx and %rdx */
	size_t bytes;
	/* Called instead if the cache is empty or closed: slow(1st argument, 2nd, the cache, its `top` as found) */
	const void *slow;
};

/*
 * Writes the code of a function of two arguments that returns an armed object of the pool. The code may be copied
 * anywhere. Returns its bytes; 0 if there is none: on aarch64, with ThreadSanitizer, or if thread-local storage is out of
 * reach.
 */
size_t entry_get(uint8_t code[ENTRY_CODE_BYTES], unsigned index, const struct entry_arming *arming);

/* The place in a function where an object ends. */
struct entry_place {
	const uint8_t *first; /* the instruction that the jump to the code replaces: it runs first */
	unsigned first_bytes;
	unsigned object; /* the number of the register with the object, one that calls preserve */
};

enum { ENTRY_EXITS = 2 };

/*
 * Writes code that puts an object into the pool in the middle of a function, and then continues elsewhere in the function,
 * with all general registers as before. `exit` gets the offsets of the jumps to where the function continues, which the
 * caller must write there; `*exits` is how many there are. Returns the bytes.
 */
size_t entry_put(uint8_t code[ENTRY_CODE_BYTES], struct pool *pool, unsigned index,
        const struct entry_place *place, size_t exit[ENTRY_EXITS], size_t *exits);

#endif
