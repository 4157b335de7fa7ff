/*
 * The fast paths of pool.h as machine code, to be put right behind a patched function's entry: a caller whose
 * thread's cache serves it takes one jump and is through, with no hook in between.
 */
#ifndef COPOOL_POOL_FRONT_H
#define COPOOL_POOL_FRONT_H

#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

enum { FRONT_BYTES = 96 }; /* that either needs at most */

/*
 * Write code that does what `return pool_get(pool, index)` does, or `pool_put(pool, index, object)` with the
 * object in the first argument. It may run wherever it is copied to. Return its bytes; 0 where there is none:
 * other processors, ThreadSanitizer, or thread-local storage out of reach.
 */
size_t front_get(uint8_t code[FRONT_BYTES], struct pool *pool, unsigned index);
size_t front_put(uint8_t code[FRONT_BYTES], struct pool *pool, unsigned index);

#endif
