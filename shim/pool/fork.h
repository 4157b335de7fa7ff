/* SPDX-License-Identifier: MIT */
/*
 * Around fork. The child takes over what all threads of the parent held, and counts from 0. Between pool_fork_prepare
 * and the next two, slow paths are refused: threads use the program's own functions.
 */
#ifndef COPOOL_POOL_FORK_H
#define COPOOL_POOL_FORK_H

/* Before fork, in the thread that forks. Waits GATE_WAIT_MS at most. */
void pool_fork_prepare(void);

/* After it, in the parent and in the child. */
void pool_fork_parent(void);
void pool_fork_child(void);

#endif
