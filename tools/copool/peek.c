/* One request at a time: the caller fills it in and posts `asked`, the thread answers and posts `answered`. */
#include "peek.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

enum { SLICE_MS = 100 }; /* how long an interruption may go unseen */

/* A thread's. All is the caller's until it posts `asked`, then the thread's until that posts `answered`. */
struct peeker {
	sem_t asked, answered;
	bool is_write;
	pid_t pid;
	uint64_t at;
	size_t bytes;
	ssize_t result;
	char memory[PEEK_BYTES]; /* not the caller's own, which may be gone when an answer comes late */
};

static struct peeker *peeker; /* NULL: there is none, or the last one is stuck */
static volatile sig_atomic_t is_interrupted;

uint64_t peek_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void *serve(void *own)
{
	struct peeker *mine = own;

	for (;;) {
		while (sem_wait(&mine->asked) != 0)
			;
		struct iovec here = {mine->memory, mine->bytes};
		struct iovec there = {(void *)(uintptr_t)mine->at, mine->bytes};
		ssize_t done = mine->is_write ? process_vm_writev(mine->pid, &here, 1, &there, 1, 0)
		                              : process_vm_readv(mine->pid, &here, 1, &there, 1, 0);
		mine->result = done < 0 ? -errno : done;
		sem_post(&mine->answered);
	}
	return NULL;
}

/* Sees to it that there is a thread, which takes no signal. 0 or -errno. */
static int start(void)
{
	sigset_t all, before;
	pthread_t thread;

	if (peeker)
		return 0;
	struct peeker *new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	sem_init(&new->asked, 0, 0);
	sem_init(&new->answered, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = -pthread_create(&thread, NULL, serve, new);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		free(new);
		return error;
	}
	pthread_detach(thread);
	peeker = new;
	return 0;
}

/* Waits for the answer. 0; or -errno, and the thread is left behind. */
static int await(uint64_t deadline_ms)
{
	for (;;) {
		uint64_t now = peek_now_ms();
		uint64_t end = deadline_ms < now + SLICE_MS ? deadline_ms : now + SLICE_MS;
		struct timespec until = {(time_t)(end / 1000), (long)(end % 1000) * 1000000};

		if (sem_clockwait(&peeker->answered, CLOCK_MONOTONIC, &until) == 0)
			return 0;
		if (is_interrupted || now >= deadline_ms) {
			peeker = NULL;
			return is_interrupted ? -EINTR : -ETIMEDOUT;
		}
	}
}

/* `from`: what is to be written; NULL: read. */
static ssize_t ask(pid_t pid, uint64_t at, const void *from, size_t bytes, uint64_t deadline_ms)
{
	int error = is_interrupted ? -EINTR : bytes > PEEK_BYTES ? -EINVAL : start();

	if (error)
		return error;
	peeker->is_write = from != NULL;
	peeker->pid = pid;
	peeker->at = at;
	peeker->bytes = bytes;
	if (from)
		memcpy(peeker->memory, from, bytes);
	sem_post(&peeker->asked);
	error = await(deadline_ms);
	return error ? error : peeker->result;
}

ssize_t peek_read(pid_t pid, uint64_t at, void *to, size_t bytes, uint64_t deadline_ms)
{
	ssize_t got = ask(pid, at, NULL, bytes, deadline_ms);

	if (got > 0)
		memcpy(to, peeker->memory, (size_t)got);
	return got;
}

ssize_t peek_write(pid_t pid, uint64_t at, const void *from, size_t bytes, uint64_t deadline_ms)
{
	return ask(pid, at, from, bytes, deadline_ms);
}

void peek_interrupt(void)
{
	is_interrupted = 1;
}
