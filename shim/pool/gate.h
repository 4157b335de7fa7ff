/*
 * The gate: lets fork find the depot, the remainder and the blocks at rest. Slow paths go through it; fork
 * closes it, waits until those inside have left (they never block there and make no system call but an mmap),
 * and opens it again on both sides. Nobody waits at a closed gate: who comes is turned away and goes to the
 * host's own functions. No lock is held over the fork. Fork's wait is bounded.
 *
 * Synchronization: Dekker's handshake. Both sides write their own word, then read the other's, all
 * sequentially consistent: of a slow path that enters and a fork that closes, at least one sees the other.
 */
#ifndef COPOOL_POOL_GATE_H
#define COPOOL_POOL_GATE_H

#include "pool/thread.h"

enum { GATE_WAIT_MS = 200 };

/*
 * Enters; false when a fork is under way. `thread` is the caller's own block, or NULL for a thread that has
 * none. A caller that is inside already (a signal handler) may enter again.
 */
bool gate_enter(struct thread *thread);
void gate_leave(struct thread *thread);

/*
 * Before fork: closes, and waits for everybody but the calling thread; at most GATE_WAIT_MS. False when
 * somebody was still inside then: the child must not trust what it finds.
 */
bool gate_close(void);

/* After fork, in the parent. */
void gate_open(void);

/* After fork, in the child: whoever was inside does not exist here. */
void gate_reset(void);

#endif
