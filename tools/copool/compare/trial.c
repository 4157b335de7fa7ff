/* SPDX-License-Identifier: MIT */
/*
 * The program runs as a child, whose memory maps are counted rarely enough not to slow it down. Signals that ask
 * copool to end are passed on, and the child is waited for, so that nothing is left behind.
 */
#include "compare/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/book.h"
#include "log/owner.h"
#include "clean.h"
#include "clock.h"
#include "copool.h"
#include "progress.h"

enum {
	MAPS_EVERY_MS = 5,   /* at most */
	MAPS_SHARE = 50,     /* at most one part in so many of the time is spent on counting maps */
	PATIENCE_MS = 5000,  /* before a program that was asked to end is killed */
	AFTERMATH_MS = 2000, /* for processes that the program leaves behind to end */
};

/* The running child. */
struct child {
	pid_t pid;
	bool has_ended;
	struct rusage usage; /* of all that has ended */
	double maps;
	uint64_t next_maps_ms, kill_ms; /* kill_ms 0: not to be killed */
};

static double seconds(void)
{
	return (double)clock_now_ns(CLOCK_MONOTONIC) / 1e9;
}

/* ---- the child ---- */

/* Sets COPOOL_LOG: in its path, a percent sign has a meaning, and so has a brace. */
static int set_log(const char *path)
{
	char setting[2 * PATH_MAX];
	size_t used = 0;

	for (; *path; path++) {
		if (*path == '%' || *path == '{')
			setting[used++] = '%';
		setting[used++] = *path;
	}
	setting[used] = '\0';
	return setenv("COPOOL_LOG", setting, 1);
}

/* In the child. Never returns. */
static void become(const struct stage *stage, const char *mode, int output)
{
	if (stage->input_start >= 0)
		lseek(stage->input, stage->input_start, SEEK_SET);
	unsetenv("COPOOL_PROMETHEUS");
	/* The interval is short, so that a program that ends by a signal leaves counters. */
	if (dup2(stage->input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	        dup2(output, STDERR_FILENO) < 0 || setenv("COPOOL_MODE", mode, 1) != 0 ||
	        set_log(stage->log) != 0 || setenv("COPOOL_INTERVAL_MS", "100", 0) != 0 ||
	        setenv("COPOOL_TELL", "1", 1) != 0)
		_exit(EXIT_OURS);
	signal(SIGPIPE, stage->broken_pipe);
	sigprocmask(SIG_SETMASK, &stage->before, NULL);
	_exit(launch_exec(stage->launch));
}

/* Starts the child, and returns when it has become the program or has failed to. Returns 0 or -errno. */
static int start(const struct stage *stage, const char *mode, struct child *child)
{
	int ready[2], error = 0;
	char nothing;
	int output = open(stage->output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	if (output < 0)
		return -errno;
	if (pipe2(ready, O_CLOEXEC) != 0) {
		error = -errno;
		close(output);
		return error;
	}
	child->pid = fork();
	if (child->pid == 0)
		become(stage, mode, output);
	if (child->pid < 0)
		error = -errno;
	close(output);
	close(ready[1]);
	/* Its end is closed by execve(2). */
	while (error == 0 && read(ready[0], &nothing, 1) < 0 && errno == EINTR)
		;
	close(ready[0]);
	return error;
}

/* How many memory maps the process has; NAN if that cannot be seen. */
static double count_maps(pid_t pid)
{
	char path[64], text[1 << 16];
	ssize_t got;
	double maps = 0;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NAN;
	while ((got = read(fd, text, sizeof text)) > 0) {
		for (const char *at = text; (at = memchr(at, '\n', (size_t)(text + got - at))) != NULL; at++)
			maps++;
	}
	close(fd);
	return maps > 0 ? maps : NAN; /* none: it has ended */
}

static void watch_maps(struct child *child)
{
	uint64_t begin = clock_now_ms();

	if (child->has_ended || begin < child->next_maps_ms)
		return;
	child->maps = fmax(child->maps, count_maps(child->pid));
	uint64_t end = clock_now_ms();
	child->next_maps_ms = end + MAPS_EVERY_MS + MAPS_SHARE * (end - begin);
}

static void add_time(struct timeval *sum, const struct timeval *more)
{
	struct timeval both;

	timeradd(sum, more, &both);
	*sum = both;
}

/* Reaps children that have ended. Returns false if none is left. */
static bool reap(struct child *child, struct trial *trial)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		add_time(&child->usage.ru_utime, &usage.ru_utime);
		add_time(&child->usage.ru_stime, &usage.ru_stime);
		if (child->usage.ru_maxrss < usage.ru_maxrss)
			child->usage.ru_maxrss = usage.ru_maxrss;
		if (pid != child->pid)
			continue;
		child->has_ended = true;
		trial->status = status;
	}
	return pid == 0;
}

/* A signal asks copool to end. The program gets those of the terminal as well; others are passed on. */
static void note_signal(struct stage *stage, struct child *child, const siginfo_t *info)
{
	if (info->si_signo == SIGCHLD)
		return;
	stage->stopped_by = info->si_signo;
	if (child->has_ended)
		return;
	if (child->kill_ms != 0)
		kill(child->pid, SIGKILL);
	else if (info->si_code != SI_KERNEL)
		kill(child->pid, info->si_signo);
	child->kill_ms = clock_now_ms() + PATIENCE_MS;
}

/* Sleeps until something happens or the maps are to be counted. */
static void wait_for_news(struct stage *stage, struct child *child)
{
	uint64_t now = clock_now_ms(), wake = child->next_maps_ms;
	siginfo_t info;

	if (child->has_ended || wake > now + 1000)
		wake = now + 1000;
	if (wake <= now)
		wake = now + 1;
	struct timespec wait = {(time_t)((wake - now) / 1000), (long)((wake - now) % 1000) * 1000000};
	if (sigtimedwait(&stage->signals, &info, &wait) > 0)
		note_signal(stage, child, &info);
	if (child->kill_ms != 0 && !child->has_ended && clock_now_ms() >= child->kill_ms)
		kill(child->pid, SIGKILL);
}

/* Waits until the child and the processes it leaves behind have ended. Returns 0; or -ECHILD if those do not end. */
static int await(struct stage *stage, struct child *child, struct trial *trial, double begin)
{
	uint64_t deadline = 0;

	while (reap(child, trial)) {
		uint64_t now = clock_now_ms();

		if (child->has_ended && deadline == 0) {
			trial->value[TRIAL_WALL] = seconds() - begin;
			deadline = now + AFTERMATH_MS;
		}
		if (child->has_ended && (now >= deadline || stage->stopped_by))
			return -ECHILD;
		watch_maps(child);
		progress_say("run %u of %u: %.0f s", stage->run, stage->runs, seconds() - begin);
		wait_for_news(stage, child);
	}
	if (deadline == 0)
		trial->value[TRIAL_WALL] = seconds() - begin;
	return 0;
}

/* ---- what the log says ---- */

/* If the objects are parts of another pool's objects they are counted there. */
static bool is_counted(const struct book_process *process, const json_t *pool)
{
	const char *host = json_string_value(json_object_get(process->open, "host"));

	return host == NULL || strcmp(host, "stacks") == 0 || owner_part_of(pool) == NULL;
}

/* mmap and mprotect for each that QEMU made, munmap for each that it destroyed. */
static double calls_made(const json_t *pool)
{
	return 2.0 * (double)book_counter(pool, "create_new") + (double)book_counter(pool, "destroy_delete") +
	       (double)book_counter(pool, "trimmed");
}

static void add_process(const struct book_process *process, struct trial *trial)
{
	double *value = trial->value;
	bool has_own_pool = book_has_own_pool(process);

	trial->has_adapter = true;
	for (size_t i = 0; i < process->pools; i++) {
		const json_t *pool = process->pool[i];

		if (!has_own_pool || !is_counted(process, pool))
			value[TRIAL_CALLS_SAVED] += (double)book_counter(pool, "calls_saved");
		if (!is_counted(process, pool))
			continue;
		trial->has_own_pool |= has_own_pool;
		trial->calls_made += has_own_pool ? calls_made(pool) : 0;
		value[TRIAL_CREATES] += (double)book_counter(pool, "create_local") +
		                        (double)book_counter(pool, "create_depot") +
		                        (double)book_counter(pool, "create_new");
		value[TRIAL_NEW] += (double)book_counter(pool, "create_new");
		value[TRIAL_PEAK_OBJECTS] += (double)book_counter(pool, "peak_objects");
	}
}

/* A program that has written no log was not preloaded. */
static int read_log(const char *path, struct trial *trial)
{
	static struct book book;
	int error = book_open(&book);

	if (error)
		return error;
	error = book_read(&book, path);
	for (size_t i = 0; i < book.processes; i++)
		add_process(&book.process[i], trial);
	const char *detail = json_string_value(json_object_get(book.idle_open, "detail"));
	if (!trial->has_adapter && detail != NULL)
		clean_copy(trial->reason, sizeof trial->reason, detail);
	book_close(&book);
	unlink(path);
	return error == -ENOENT ? 0 : error;
}

int trial_run(struct stage *stage, const char *mode, struct trial *trial)
{
	struct child child = {.maps = NAN};
	struct timespec no_time = {0, 0};
	siginfo_t info;

	memset(trial, 0, sizeof *trial);
	while (sigtimedwait(&stage->signals, &info, &no_time) > 0) {
		if (info.si_signo == SIGCHLD)
			continue;
		stage->stopped_by = info.si_signo;
		return -EINTR;
	}
	double begin = seconds();
	int error = start(stage, mode, &child);
	if (error)
		return error;
	error = await(stage, &child, trial, begin);
	if (stage->stopped_by)
		return -EINTR;
	trial->value[TRIAL_MAPS] = child.maps;
	trial->value[TRIAL_RESIDENT] = (double)child.usage.ru_maxrss;
	trial->value[TRIAL_CPU] = (double)(child.usage.ru_utime.tv_sec + child.usage.ru_stime.tv_sec) +
	                          (double)(child.usage.ru_utime.tv_usec + child.usage.ru_stime.tv_usec) / 1e6;
	return error ? error : read_log(stage->log, trial);
}
