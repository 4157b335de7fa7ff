/* SPDX-License-Identifier: MIT */
/*
 * What went wrong, kept until the statistics log can say it. Writers are any thread, lock-free and without
 * allocation; the one reader is the statistics thread (or the constructor and destructor where there is
 * none). A full queue drops the message and counts it.
 */
#ifndef COPOOL_SYSTEM_WARN_H
#define COPOOL_SYSTEM_WARN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { WARN_BYTES = 512 }; /* longest message, with its zero; a longer one is cut */

/*
 * Queues one message, without a newline. errno survives. Takes as much stack as printf: not for the program's threads, which
 * may be on a coroutine's.
 */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);

/*
 * The same for any stack: the message is put together when it is read. It has two arguments at most, each no larger than a
 * long; strings must stay what they are.
 */
#define warn_later(...)                                                                                      \
	do {                                                                                                 \
		if (0)                                                                                       \
			warn(__VA_ARGS__); /* for the compiler to check */                                   \
		WARN_LATER(__VA_ARGS__, 0, 0, 0);                                                            \
	} while (0)
#define WARN_LATER(format, a, b, ...) warn_keep(format, (unsigned long)(a), (unsigned long)(b))

void warn_keep(const char *format, unsigned long a, unsigned long b);

/* As warn_later, but only the first time that one of its threads comes there. */
#define warn_once(...)                                                                                       \
	do {                                                                                                 \
		static _Atomic bool is_said;                                                                 \
                                                                                                             \
		/* [is_said] relaxed: nothing is published. */                                               \
		if (!atomic_exchange_explicit(&is_said, true, memory_order_relaxed))                         \
			warn_later(__VA_ARGS__);                                                             \
	} while (0)

/* Moves the oldest message to `text` (at least WARN_BYTES); false when there is none. One reader at a time. */
bool warn_next(char *text);

/*
 * In a fork's child: nobody else goes on with what other threads had begun to write or to read. What was
 * queued stays, so that both processes tell it.
 */
void warn_fork_child(void);

/* Whether warn_next would say something. */
bool warn_is_any(void);

/* How many messages were dropped because the queue was full. */
unsigned warn_dropped(void);

/* What an errno value means, in English; takes no lock, where the C library has a way. */
const char *warn_reason(int error);

#endif
