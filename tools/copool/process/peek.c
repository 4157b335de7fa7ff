/* SPDX-License-Identifier: MIT */
/*
 * One request at a time: the caller fills it in and posts `asked`, the thread answers and posts `answered`. In a look
 * the thread makes system calls of its own; `lock` guards whether it is in one, so that it is left behind only there.
 */
#include "process/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum {
	SLICE_MS = 100,     /* how late an interruption may be noticed */
	LOOK_SLICE_MS = 10, /* and that a look has set another deadline */
};

/* The caller's until it posts `asked`, then the thread's until it posts `answered`; `lock` guards the rest. */
struct peeker {
	sem_t asked, answered;
	int (*look)(void *context); /* NULL: the one read or write below */
	void *context;
	pthread_mutex_t lock;  /* of the next three */
	bool is_away, is_left; /* it is in a system call of a look; it was left behind */
	uint64_t deadline_ms;  /* of that look */
	bool is_write;
	pid_t pid;
	uint64_t at;
	size_t bytes;
	ssize_t result;
	char memory[PEEK_BYTES]; /* not the caller's, which may be gone if an answer is late */
};

static struct peeker *peeker;       /* NULL: there is none, or the last one was left behind */
static __thread struct peeker *own; /* of the current thread, if it is one */
static volatile sig_atomic_t is_interrupted;

static ssize_t transfer(struct peeker *mine)
{
	struct iovec here = {mine->memory, mine->bytes};
	struct iovec there = {(void *)(uintptr_t)mine->at, mine->bytes};
	ssize_t done = mine->is_write ? process_vm_writev(mine->pid, &here, 1, &there, 1, 0)
	                              : process_vm_readv(mine->pid, &here, 1, &there, 1, 0);

	return done < 0 ? -errno : done;
}

/* Before a system call of a look that may not return. */
static void go_away(void)
{
	if (own == NULL)
		return;
	pthread_mutex_lock(&own->lock);
	own->is_away = true;
	pthread_mutex_unlock(&own->lock);
}

/* After it. Does not return if the look was left behind, which must not touch what it shares with the caller. */
static void come_back(int fd)
{
	bool is_left;

	if (own == NULL)
		return;
	pthread_mutex_lock(&own->lock);
	own->is_away = false;
	is_left = own->is_left;
	pthread_mutex_unlock(&own->lock);
	if (is_left) {
		if (fd >= 0)
			close(fd);
		pthread_exit(NULL);
	}
}

static void *serve(void *peeker_of_it)
{
	struct peeker *mine = own = peeker_of_it;

	for (;;) {
		while (sem_wait(&mine->asked) != 0)
			;
		mine->result = mine->look != NULL ? mine->look(mine->context) : transfer(mine);
		sem_post(&mine->answered);
	}
	return NULL;
}

/* Makes sure that there is a thread, which takes no signals. Returns 0 or -errno. */
static int start(void)
{
	sigset_t all, before;
	pthread_t thread;

	if (peeker != NULL)
		return 0;
	struct peeker *new = calloc(1, sizeof *new);
	if (new == NULL)
		return -ENOMEM;
	sem_init(&new->asked, 0, 0);
	sem_init(&new->answered, 0, 0);
	pthread_mutex_init(&new->lock, NULL);
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

/* Leaves the thread behind. Returns false if it is in a look but in no system call, and so will return. */
static bool leave(void)
{
	bool can_be_left = true;

	if (peeker->look != NULL) {
		pthread_mutex_lock(&peeker->lock);
		peeker->is_left = can_be_left = peeker->is_away;
		pthread_mutex_unlock(&peeker->lock);
	}
	if (can_be_left)
		peeker = NULL;
	return can_be_left;
}

/* A look sets its own deadline. */
static uint64_t current_deadline(uint64_t deadline_ms)
{
	if (peeker->look != NULL) {
		pthread_mutex_lock(&peeker->lock);
		deadline_ms = peeker->deadline_ms;
		pthread_mutex_unlock(&peeker->lock);
	}
	return deadline_ms;
}

/* Waits for the answer. Returns 0; or -errno, and the thread is left behind. */
static int await(uint64_t deadline_ms)
{
	const unsigned slice_ms = peeker->look != NULL ? LOOK_SLICE_MS : SLICE_MS;

	for (;;) {
		uint64_t now = clock_now_ms(), end = current_deadline(deadline_ms);

		end = end < now + slice_ms ? end : now + slice_ms;
		end = end > now || peeker->look == NULL ? end : now + 1;
		struct timespec until = {(time_t)(end / 1000), (long)(end % 1000) * 1000000};

		if (sem_clockwait(&peeker->answered, CLOCK_MONOTONIC, &until) == 0)
			return 0;
		bool is_late = now >= current_deadline(deadline_ms);
		if ((is_interrupted || is_late) && leave())
			return is_interrupted ? -EINTR : -ETIMEDOUT;
	}
}

/* `from`: what to write; NULL: read. */
static ssize_t ask(pid_t pid, uint64_t at, const void *from, size_t bytes, uint64_t deadline_ms)
{
	int error = is_interrupted ? -EINTR : bytes > PEEK_BYTES ? -EINVAL : start();

	if (error)
		return error;
	peeker->look = NULL;
	peeker->is_write = from != NULL;
	peeker->pid = pid;
	peeker->at = at;
	peeker->bytes = bytes;
	if (from != NULL)
		memcpy(peeker->memory, from, bytes);
	sem_post(&peeker->asked);
	error = await(deadline_ms);
	return error ? error : peeker->result;
}

/* In a look: the thread itself reads. */
static ssize_t read_here(pid_t pid, uint64_t at, size_t bytes)
{
	ssize_t got;

	if (is_interrupted)
		return -EINTR;
	if (bytes > PEEK_BYTES)
		return -EINVAL;
	own->is_write = false;
	own->pid = pid;
	own->at = at;
	own->bytes = bytes;
	go_away();
	got = transfer(own);
	come_back(-1);
	return got;
}

ssize_t peek_read(pid_t pid, uint64_t at, void *to, size_t bytes, uint64_t deadline_ms)
{
	ssize_t got = own != NULL ? read_here(pid, at, bytes) : ask(pid, at, NULL, bytes, deadline_ms);

	if (got > 0)
		memcpy(to, own != NULL ? own->memory : peeker->memory, (size_t)got);
	return got;
}

ssize_t peek_write(pid_t pid, uint64_t at, const void *from, size_t bytes, uint64_t deadline_ms)
{
	return ask(pid, at, from, bytes, deadline_ms);
}

void peek_until(uint64_t deadline_ms)
{
	pthread_mutex_lock(&own->lock);
	own->deadline_ms = deadline_ms;
	pthread_mutex_unlock(&own->lock);
}

int peek_look(int (*look)(void *context), void *context)
{
	int error = is_interrupted ? -EINTR : start();

	if (error)
		return error;
	peeker->look = look;
	peeker->context = context;
	peeker->deadline_ms = UINT64_MAX;
	sem_post(&peeker->asked);
	error = await(0);
	return error ? error : (int)peeker->result;
}

int peek_open(const char *path)
{
	go_away();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = errno;
	come_back(fd);
	return fd < 0 ? -error : fd;
}

ssize_t peek_get(int fd, void *to, size_t bytes)
{
	char *memory = own != NULL ? own->memory : to;
	ssize_t got;

	if (own != NULL && bytes > PEEK_BYTES)
		bytes = PEEK_BYTES;
	go_away();
	got = read(fd, memory, bytes);
	int error = errno;
	come_back(fd);
	if (got > 0 && own != NULL)
		memcpy(to, memory, (size_t)got);
	return got < 0 ? -error : got;
}

void peek_interrupt(void)
{
	is_interrupted = 1;
}
