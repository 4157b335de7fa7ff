/*
 * What went wrong, kept until the statistics log can say it. Writers are any thread, lock-free and without
 * allocation; the one reader is the statistics thread (or the constructor and destructor where there is
 * none). A full queue drops the message and counts it.
 */
#ifndef COPOOL_LIBC_WARN_H
#define COPOOL_LIBC_WARN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { WARN_BYTES = 512 }; /* longest message, with its zero; a longer one is cut */

/* Queues one message, without a newline. errno survives. */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);

/* The same, but only the first time that one of its threads comes there. */
#define warn_once(...)                                                                                       \
	do {                                                                                                 \
		static _Atomic bool is_said;                                                                 \
                                                                                                             \
		/* [is_said] relaxed: nothing is published. */                                               \
		if (!atomic_exchange_explicit(&is_said, true, memory_order_relaxed))                         \
			warn(__VA_ARGS__);                                                                   \
	} while (0)

/* Moves the oldest message to `text` (at least WARN_BYTES); false when there is none. One reader at a time.
 */
bool warn_next(char *text);

/*
 * In a fork's child: nobody else goes on with what other threads had begun to write or to read. What was
 * queued stays, so that both processes tell it.
 */
void warn_fork_child(void);

/* How many messages were dropped because the queue was full. */
unsigned warn_dropped(void);

/* What an errno value means, in English; takes no lock, where the C library has a way. */
const char *warn_reason(int error);

#endif
