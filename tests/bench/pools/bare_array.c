/* SPDX-License-Identifier: MIT */
/*
 * The floor: a thread-local array and nothing else. Threads share nothing, so what one thread puts no other
 * gets; a thread whose array runs empty makes objects, one whose array is full destroys them.
 */
#include "pools.h"

static __thread struct {
	unsigned long count;
	void *object[1024];
} array;

static inline void *take(void)
{
	if (__builtin_expect(array.count == 0, 0))
		return object_make();
	return array.object[--array.count];
}

static inline void put(void *object)
{
	if (__builtin_expect(array.count == sizeof array.object / sizeof *array.object, 0))
		object_destroy(object);
	else
		array.object[array.count++] = object;
}

static void thread_stop(void)
{
	while (array.count > 0)
		object_destroy(array.object[--array.count]);
}

#include "patterns.h"

const struct contender bare_array = {
        .name = "bare array",
        .thread_stop = thread_stop,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .inlined = patterns_inlined,
        .called = patterns_called,
};
