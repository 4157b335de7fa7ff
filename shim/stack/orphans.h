/* SPDX-License-Identifier: MIT */
/*
 * Slots that a thread was about to change when it ceased to be: it is not there in a fork's child, or a signal
 * handler has jumped out of it. Nobody waits for such a thread for long. What it has left behind is decided: the
 * slot is as the program may expect, and is never handed out again.
 */
#ifndef COPOOL_STACK_ORPHANS_H
#define COPOOL_STACK_ORPHANS_H

#include "stack/arena.h"

/*
 * The slot's state, when no other thread does anything to it any more. That takes as long as a system call, for
 * which the kernel would make us wait as well; after some milliseconds the slot is taken from that thread. No
 * cancellation point. errno survives.
 */
enum slot_state arena_await(const struct arena_place *place);

/* In a fork's child: what other threads were doing is not being done any more. */
void arena_fork_child(struct arena *arena);

#endif
