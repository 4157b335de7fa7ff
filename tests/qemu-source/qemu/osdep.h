/* SPDX-License-Identifier: MIT */
/*
 * In place of QEMU's own: of the system's headers, of GLib and of QEMU's configuration what its coroutines use. The
 * folder goes before QEMU's include/ on the compiler's command line.
 */
#ifndef COPOOL_TESTS_QEMU_OSDEP_H
#define COPOOL_TESTS_QEMU_OSDEP_H

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_LINUX    1
#define CONFIG_ATOMIC64 1

#if defined(__has_feature)
#if __has_feature(safe_stack)
#define CONFIG_SAFESTACK 1
#endif
#endif

/* ---- GLib ---- */

#define G_NORETURN                   __attribute__((noreturn))
#define G_GNUC_UNUSED                __attribute__((unused))
#define G_GNUC_WARN_UNUSED_RESULT    __attribute__((warn_unused_result))
#define G_GNUC_PRINTF(format, first) __attribute__((format(gnu_printf, format, first)))
#define G_STATIC_ASSERT(condition)   _Static_assert(condition, #condition)
#define g_assert(condition)          assert(condition)
#define g_assert_not_reached()       abort()
#define g_autofree                   __attribute__((cleanup(free_pointed_at)))
#define g_auto(type)                 __attribute__((cleanup(cleanup_##type))) type
#define G_DEFINE_AUTOPTR_CLEANUP_FUNC(type, function)                                                        \
	static inline void cleanup_of_##type(type **pointer)                                                 \
	{                                                                                                    \
		if (*pointer != NULL)                                                                        \
			function(*pointer);                                                                  \
	}
#define g_autoptr(type)    __attribute__((cleanup(cleanup_of_##type))) type *
#define g_new(type, count) ((type *)g_malloc(sizeof(type) * (count)))

void *g_malloc(size_t bytes);
void *g_malloc0(size_t bytes);
void g_free(void *memory);
int g_file_get_contents(const char *path, char **contents, size_t *length, void **error);

static inline void free_pointed_at(void *pointer)
{
	g_free(*(void **)pointer);
}

/* ---- QEMU's ---- */

#include "qemu/compiler.h"
#include "qemu/typedefs.h"

#ifndef coroutine_fn
#define coroutine_fn
#endif
#ifndef coroutine_mixed_fn
#define coroutine_mixed_fn
#endif
#ifndef no_coroutine_fn
#define no_coroutine_fn
#endif
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif

/* Versions say otherwise what is configured. */
#ifdef IS_ENABLED
#define CONFIG_COROUTINE_POOL
#else
#define CONFIG_COROUTINE_POOL 1
#endif

/* Of code that the compiler leaves out nothing calls it. */
void qemu_build_not_reached(void);
#define qemu_build_assert(condition) _Static_assert(condition, #condition)

void *qemu_alloc_stack(size_t *bytes);
void qemu_free_stack(void *stack, size_t bytes);
int qemu_get_thread_id(void);

#endif
