/* SPDX-License-Identifier: MIT */
/*
 * The patterns around `take` and `put`, static functions of the file that includes this at its end; leaves
 * `patterns_inlined` and `patterns_called`, and take_called, put_called. A file whose functions cannot be
 * inlined defines ONLY_CALLED, and the last two itself.
 */
#include "pools.h"

#include <stdatomic.h>

/* The object is used: the compiler must have it, and must not know what became of memory. */
#define USE(object) __asm__ volatile("" : : "r"(object) : "memory")

#define PATTERN_NAME_(name, way) name##_##way
#define PATTERN_NAME(name, way)  PATTERN_NAME_(name, way)

#ifndef ONLY_CALLED
static APART void *take_called(void)
{
	return take();
}

static APART void put_called(void *object)
{
	put(object);
}

#define WAY         inlined
#define TAKE()      take()
#define PUT(object) put(object)
#include "pattern_bodies.h"
#undef WAY
#undef TAKE
#undef PUT
#endif

#define WAY         called
#define TAKE()      take_called()
#define PUT(object) put_called(object)
#include "pattern_bodies.h"
#undef WAY
#undef TAKE
#undef PUT
