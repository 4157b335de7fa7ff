/* SPDX-License-Identifier: MIT */
/*
 * What QEMU's coroutines call of the rest of QEMU and of GLib: stacks, a thread's end, a mutex, the log of what is
 * traced. All threads may call.
 */
#include "qemu/osdep.h"
#include "qemu/notify.h"
#include "qemu/thread.h"
#include "qemu/cutils.h"
#include "block/aio.h"
#include "trace.h"
#include "runtime.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct AioContext {
	int nothing;
};

int trace_events_enabled_count;
uint16_t _TRACE_QEMU_AIO_COROUTINE_ENTER_DSTATE;
uint16_t _TRACE_QEMU_COROUTINE_YIELD_DSTATE;
uint16_t _TRACE_QEMU_COROUTINE_TERMINATE_DSTATE;
int qemu_loglevel;
bool message_with_timestamp;

QemuMutexLockFunc qemu_mutex_lock_func = qemu_mutex_lock_impl;
QemuMutexTrylockFunc qemu_mutex_trylock_func = qemu_mutex_trylock_impl;

_Atomic unsigned long runtime_stacks_made, runtime_stacks_freed;
_Atomic unsigned long runtime_traced_enter, runtime_traced_yield, runtime_traced_terminate;

static AioContext context;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;

void runtime_die(const char *why)
{
	fprintf(stderr, "%s\n", why);
	_exit(99);
}

/* ---- GLib ---- */

void *g_malloc(size_t bytes)
{
	void *memory = malloc(bytes);

	if (memory == NULL)
		abort();
	return memory;
}

void *g_malloc0(size_t bytes)
{
	return memset(g_malloc(bytes), 0, bytes);
}

void g_free(void *memory)
{
	free(memory);
}

int g_file_get_contents(const char *path, char **contents, size_t *length, void **error)
{
	enum { MOST = 4096 };
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	(void)error;
	if (file < 0)
		return 0;
	*contents = g_malloc0(MOST);
	bytes = read(file, *contents, MOST - 1);
	close(file);
	if (length != NULL && bytes >= 0)
		*length = bytes;
	return bytes >= 0;
}

/* ---- QEMU ---- */

int qemu_strtoi(const char *text, const char **end, int base, int *result)
{
	char *rest;

	*result = strtol(text, &rest, base);
	if (end != NULL)
		*end = rest;
	return rest == text ? -EINVAL : 0;
}

AioContext *qemu_get_current_aio_context(void)
{
	return &context;
}

int qemu_get_thread_id(void)
{
	return syscall(SYS_gettid);
}

void qemu_log(const char *format, ...)
{
	const char *event = strstr(format, "qemu_");
	va_list arguments;

	va_start(arguments, format);
	va_end(arguments);
	if (strncmp(event, "qemu_aio_coroutine_enter", 24) == 0)
		atomic_fetch_add(&runtime_traced_enter, 1);
	else if (strncmp(event, "qemu_coroutine_yield", 20) == 0)
		atomic_fetch_add(&runtime_traced_yield, 1);
	else
		atomic_fetch_add(&runtime_traced_terminate, 1);
}

/* As QEMU has it: the lowest page is a guard. */
void *qemu_alloc_stack(size_t *bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);
	long least = sysconf(_SC_THREAD_STACK_MIN);
	void *stack;

	if (least > 0 && *bytes < (size_t)least)
		*bytes = least;
	*bytes = (*bytes + page - 1) / page * page + page;
	stack = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED || mprotect(stack, page, PROT_NONE) != 0) {
		perror("failed to allocate memory for stack");
		abort();
	}
	atomic_fetch_add(&runtime_stacks_made, 1);
	return stack;
}

void qemu_free_stack(void *stack, size_t bytes)
{
	atomic_fetch_add(&runtime_stacks_freed, 1);
	munmap(stack, bytes);
}

void qemu_mutex_init(QemuMutex *mutex)
{
	pthread_mutex_init(&mutex->lock, NULL);
	mutex->initialized = true;
}

void qemu_mutex_lock_impl(QemuMutex *mutex, const char *file, const int line)
{
	(void)file;
	(void)line;
	pthread_mutex_lock(&mutex->lock);
}

int qemu_mutex_trylock_impl(QemuMutex *mutex, const char *file, const int line)
{
	(void)file;
	(void)line;
	return -pthread_mutex_trylock(&mutex->lock);
}

void qemu_mutex_unlock_impl(QemuMutex *mutex, const char *file, const int line)
{
	(void)file;
	(void)line;
	pthread_mutex_unlock(&mutex->lock);
}

static void run_at_exit(void *first)
{
	Notifier *notifier, *next;

	for (notifier = first; notifier != NULL; notifier = next) {
		next = notifier->node.le_next;
		notifier->notify(notifier, NULL);
	}
}

static void make_exit_key(void)
{
	if (pthread_key_create(&exit_key, run_at_exit) != 0)
		runtime_die("no key for a thread's end");
}

void qemu_thread_atexit_add(struct Notifier *notifier)
{
	pthread_once(&once, make_exit_key);
	notifier->node.le_next = pthread_getspecific(exit_key);
	pthread_setspecific(exit_key, notifier);
}
