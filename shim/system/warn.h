/* SPDX-License-Identifier: MIT */
/*
 * Warnings, kept until the statistics log can write them. Any thread writes, without a lock or an allocation. The one
 * reader is the statistics thread (or the constructor and destructor, if there is none). If the queue is full, the
 * message is dropped and counted.
 */
#ifndef COPOOL_SYSTEM_WARN_H
#define COPOOL_SYSTEM_WARN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { WARN_BYTES = 512 }; /* of the longest message, with its zero; a longer one is cut */

/*
 * Queues one message, without a newline. errno survives. Uses as much stack as printf: not for the program's threads,
 * which may run on a coroutine's stack.
 */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);

/*
 * Does so on any stack: the message is formatted when it is read. It has at most two arguments, none larger than a
 * long; strings must stay unchanged.
 */
#define warn_later(...)                                                                                      \
	do {                                                                                                 \
		if (0)                                                                                       \
			warn(__VA_ARGS__); /* lets the compiler check the format */                          \
		WARN_LATER(__VA_ARGS__, 0, 0, 0);                                                            \
	} while (0)
#define WARN_LATER(format, a, b, ...) warn_keep(format, (unsigned long)(a), (unsigned long)(b))

void warn_keep(const char *format, unsigned long a, unsigned long b);

/* As warn_later, but each place queues its message only once. */
#define warn_once(...)                                                                                       \
	do {                                                                                                 \
		static _Atomic bool is_said;                                                                 \
                                                                                                             \
		/* [is_said] relaxed: nothing is published. */                                               \
		if (!atomic_exchange_explicit(&is_said, true, memory_order_relaxed))                         \
			warn_later(__VA_ARGS__);                                                             \
	} while (0)

/* Moves the oldest message to `text` (WARN_BYTES or more). False: there is none. One reader at a time. */
bool warn_next(char *text);

/*
 * In a fork's child: ends what other threads had begun to write or to read. Queued messages stay, so that both
 * processes report them.
 */
void warn_fork_child(void);

/* Whether there is a message. */
bool warn_is_any(void);

/* How many messages were dropped because the queue was full. */
unsigned warn_dropped(void);

/* What an errno value means, in English. Takes no lock. */
const char *warn_reason(int error);

#endif
