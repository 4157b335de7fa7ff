/* SPDX-License-Identifier: MIT */
/*
 * System calls that the arena makes and the program would not have made: they are taken off what was saved. Any thread.
 */
#ifndef COPOOL_STACK_SPENT_H
#define COPOOL_STACK_SPENT_H

#include "stack/arena.h"

static inline void spent_note(const struct arena_class *class, unsigned calls)
{
	if (calls > 0 && class->arena->note_calls != NULL)
		class->arena->note_calls(class, calls);
}

#endif
