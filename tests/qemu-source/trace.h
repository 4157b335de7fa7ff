/* SPDX-License-Identifier: MIT */
/*
 * In place of what QEMU's build makes of util/trace-events for its log: functions that are inlined, and whose compiled
 * form lies in the midst of the code that is patched. It is the same here.
 */
#ifndef COPOOL_TESTS_TRACE_H
#define COPOOL_TESTS_TRACE_H

extern int trace_events_enabled_count;
extern uint16_t _TRACE_QEMU_AIO_COROUTINE_ENTER_DSTATE;
extern uint16_t _TRACE_QEMU_COROUTINE_YIELD_DSTATE;
extern uint16_t _TRACE_QEMU_COROUTINE_TERMINATE_DSTATE;
extern int qemu_loglevel;
extern bool message_with_timestamp;

void qemu_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define LOG_TRACE (1 << 15)

#define TRACED(event)                                                                                        \
	(__builtin_expect(!!(trace_events_enabled_count), 0) && (event) && (qemu_loglevel & LOG_TRACE) != 0)

#define TRACE(event, format, ...)                                                                            \
	do {                                                                                                 \
		if (!TRACED(event))                                                                          \
			break;                                                                               \
		if (message_with_timestamp) {                                                                \
			struct timeval now;                                                                  \
			gettimeofday(&now, NULL);                                                            \
			qemu_log("%d@%zu.%06zu:" format "\n", qemu_get_thread_id(), (size_t)now.tv_sec,      \
			        (size_t)now.tv_usec, __VA_ARGS__);                                           \
		} else {                                                                                     \
			qemu_log(format "\n", __VA_ARGS__);                                                  \
		}                                                                                            \
	} while (0)

static inline void trace_qemu_aio_coroutine_enter(void *context, void *from, void *to, void *argument)
{
	TRACE(_TRACE_QEMU_AIO_COROUTINE_ENTER_DSTATE,
	        "qemu_aio_coroutine_enter ctx %p from %p to %p opaque %p", context, from, to, argument);
}

static inline void trace_qemu_coroutine_yield(void *from, void *to)
{
	TRACE(_TRACE_QEMU_COROUTINE_YIELD_DSTATE, "qemu_coroutine_yield from %p to %p", from, to);
}

static inline void trace_qemu_coroutine_terminate(void *self)
{
	TRACE(_TRACE_QEMU_COROUTINE_TERMINATE_DSTATE, "qemu_coroutine_terminate self %p", self);
}

#endif
