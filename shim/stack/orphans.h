/* SPDX-License-Identifier: MIT */
/*
 * Slots that a thread was about to change when it vanished: it is not in a fork's child, or a signal handler has
 * jumped out of it. Other threads wait for it only a short time. Then the slot becomes what the program may expect,
 * and is never handed out again.
 */
#ifndef COPOOL_STACK_ORPHANS_H
#define COPOOL_STACK_ORPHANS_H

#include "stack/arena.h"

/*
 * Waits until no other thread is changing the slot, and returns its state. That usually takes as long as a system
 * call, for which the kernel would make us wait too; after some milliseconds the slot is taken from the other thread.
 * No cancellation point. errno survives.
 */
enum slot_state arena_await(const struct arena_place *place);

/* Settles all slots in a fork's child: the threads that were changing them are not there. */
void arena_fork_child(struct arena *arena);

#endif
