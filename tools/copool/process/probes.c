/* SPDX-License-Identifier: MIT */
/*
 * One event for each thread and function. New threads do not inherit them: the kernel would read the file's name
 * again in the memory of the observed process, and its pthread_create() would fail with EFAULT (Linux 6.18). So this
 * looks for new threads itself.
 */
#include "process/probes.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "process/peek.h"

enum { PLACES_MAX = 8, LIST_MS = 50, SPARE_DESCRIPTORS = 64, COST_ENTRIES = 2000 };

struct probed_thread {
	pid_t id;
	bool is_there; /* seen in the current listing */
	int fd[PLACES_MAX];
};

/* The type of event of uprobes on this kernel; -1: it has none. */
static int probe_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -1;

	if (file != NULL && fscanf(file, "%d", &type) != 1)
		type = -1;
	if (file != NULL)
		fclose(file);
	return type;
}

static int open_probe(int type, pid_t thread, const struct place *place)
{
	struct perf_event_attr attributes = {.size = sizeof attributes, .type = (uint32_t)type};

	attributes.uprobe_path = (uint64_t)(uintptr_t)place->path;
	attributes.probe_offset = place->offset;
	int fd = (int)syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void explain(struct probes *probes, int error)
{
	const char *text;

	switch (error) {
	case -EACCES:
	case -EPERM:
		text = "this user may not set probes: you need CAP_PERFMON (root; before Linux 5.8 "
		       "CAP_SYS_ADMIN), and in a container a sandbox that allows perf_event_open";
		break;
	case -ENOENT:
		text = "this kernel has no uprobes that perf_event_open(2) could set (CONFIG_UPROBE_EVENTS)";
		break;
	case -EMFILE:
		text = "it has more threads than this process may have descriptors (ulimit -n)";
		break;
	case -ESRCH:
		text = "there is no such process";
		break;
	default:
		snprintf(probes->why, sizeof probes->why, "no probe could be set: %s", strerror(-error));
		return;
	}
	snprintf(probes->why, sizeof probes->why, "%s", text);
}

/* ---- threads ---- */

/* Raises the limit on descriptors to `wanted`, if the system allows it. */
static void allow_descriptors(size_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static struct probed_thread *find_thread(const struct probes *probes, pid_t id)
{
	for (size_t i = 0; i < probes->threads; i++) {
		if (probes->thread[i].id == id)
			return &probes->thread[i];
	}
	return NULL;
}

static void close_thread(const struct probes *probes, struct probed_thread *thread)
{
	for (size_t i = 0; i < probes->places; i++) {
		if (thread->fd[i] >= 0)
			close(thread->fd[i]);
	}
}

/* Returns 0, also if the thread has ended already; or -errno. */
static int add_thread(struct probes *probes, pid_t id)
{
	struct probed_thread thread = {.id = id, .is_there = true};
	struct probed_thread *more = realloc(probes->thread, (probes->threads + 1) * sizeof *more);
	int error = 0;

	if (more == NULL)
		return -ENOMEM;
	probes->thread = more;
	allow_descriptors((probes->threads + 1) * probes->places + SPARE_DESCRIPTORS);
	for (size_t i = 0; i < probes->places; i++) {
		thread.fd[i] = error == 0 ? open_probe(probes->type, id, &probes->place[i]) : -1;
		if (thread.fd[i] < 0 && error == 0)
			error = thread.fd[i];
	}
	if (error == 0)
		probes->thread[probes->threads++] = thread;
	else
		close_thread(probes, &thread);
	return error == -ESRCH ? 0 : error;
}

/* Adds what a thread's events have counted. Returns 0, or -errno. */
static int add_counts(const struct probes *probes, const struct probed_thread *thread, uint64_t *sum)
{
	for (size_t i = 0; i < probes->places; i++) {
		uint64_t count;
		ssize_t got = read(thread->fd[i], &count, sizeof count);

		if (got != sizeof count)
			return got < 0 ? -errno : -EIO;
		sum[i] += count;
	}
	return 0;
}

/* Keeps the counts of threads that have ended, and forgets them. */
static int drop_ended(struct probes *probes)
{
	int error = 0;

	for (size_t i = probes->threads; i-- > 0 && error == 0;) {
		struct probed_thread *thread = &probes->thread[i];

		if (thread->is_there)
			continue;
		error = add_counts(probes, thread, probes->ended);
		close_thread(probes, thread);
		*thread = probes->thread[--probes->threads];
	}
	return error;
}

/* Sets probes for new threads. Returns 0; or -errno: -ESRCH if the process has ended. */
static int follow_threads(struct probes *probes)
{
	char path[64];
	struct dirent *entry;
	int error = 0;

	snprintf(path, sizeof path, "/proc/%d/task", probes->pid);
	DIR *folder = opendir(path);
	if (folder == NULL)
		return errno == ENOENT ? -ESRCH : -errno;
	for (size_t i = 0; i < probes->threads; i++)
		probes->thread[i].is_there = false;
	while (error == 0 && (entry = readdir(folder))) {
		pid_t id = (pid_t)atoi(entry->d_name);
		struct probed_thread *thread = id > 0 ? find_thread(probes, id) : NULL;

		if (thread != NULL)
			thread->is_there = true;
		else if (id > 0)
			error = add_thread(probes, id);
	}
	closedir(folder);
	probes->listed_ms = clock_now_ms();
	return error;
}

/* ---- all of them ---- */

static int read_sums(const struct probes *probes, uint64_t *sum)
{
	int error = 0;

	memcpy(sum, probes->ended, probes->places * sizeof *sum);
	for (size_t i = 0; i < probes->threads && error == 0; i++)
		error = add_counts(probes, &probes->thread[i], sum);
	return error;
}

int probes_open(struct probes *probes, pid_t pid, const struct place *place, size_t places)
{
	*probes = (struct probes){.pid = pid, .type = probe_type(), .place = place, .places = places};
	probes->ended = calloc(places, sizeof *probes->ended);
	probes->before = calloc(places, sizeof *probes->before);
	int error = places > PLACES_MAX                               ? -EINVAL
	            : probes->type < 0                                ? -ENOENT
	            : probes->ended == NULL || probes->before == NULL ? -ENOMEM
	                                                              : follow_threads(probes);
	if (error == 0 && probes->threads == 0)
		error = -ESRCH;
	if (error == 0)
		error = read_sums(probes, probes->before);
	if (error != 0) {
		explain(probes, error);
		probes_close(probes);
	}
	return error;
}

int probes_read(struct probes *probes, uint64_t *entries)
{
	if (clock_now_ms() >= probes->listed_ms + LIST_MS) {
		int error = follow_threads(probes);

		if (error == 0)
			error = drop_ended(probes);
		if (error != 0 && error != -ESRCH)
			return error;
	}
	int error = read_sums(probes, entries);
	for (size_t i = 0; error == 0 && i < probes->places; i++)
		entries[i] -= probes->before[i];
	return error;
}

void probes_close(struct probes *probes)
{
	for (size_t i = 0; i < probes->threads; i++)
		close_thread(probes, &probes->thread[i]);
	free(probes->thread);
	free(probes->ended);
	free(probes->before);
	probes->thread = NULL;
	probes->ended = probes->before = NULL;
	probes->threads = 0;
}

/* ---- what it costs ---- */

/*
 * Two functions to be probed. The kernel emulates a few instructions, such as push. Any other first instruction runs
 * elsewhere and traps again, which costs much more on a virtual processor.
 */
#ifdef __x86_64__
__asm__(".pushsection .text\n"
        "probed_push: pushq %rbp\n"
        "	popq %rbp\n"
        "	ret\n"
        "probed_other: movq %rdi, %rax\n"
        "	ret\n"
        ".popsection\n");
unsigned probed_push(unsigned value) __attribute__((visibility("hidden")));
unsigned probed_other(unsigned value) __attribute__((visibility("hidden")));
#else
__attribute__((noinline)) static unsigned probed_other(unsigned value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}
#define probed_push probed_other
#endif

/* Whether the kernel emulates the first instruction of a function. */
static bool is_emulated(const struct place *place)
{
#ifdef __x86_64__
	unsigned char byte[2] = {0};
	FILE *file = fopen(place->path, "re");

	if (file != NULL) {
		if (fseeko(file, (off_t)place->offset, SEEK_SET) != 0 ||
		        fread(byte, sizeof byte, 1, file) != 1)
			byte[0] = 0;
		fclose(file);
	}
	return (byte[0] & 0xf8) == 0x50 || (byte[0] == 0x41 && (byte[1] & 0xf8) == 0x50);
#else
	(void)place;
	return false; /* of what functions for aarch64 begin with, none is */
#endif
}

static double entries_ns(unsigned (*function)(unsigned))
{
	uint64_t start = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned i = 0; i < COST_ENTRIES; i++)
		function(i);
	return (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - start) / COST_ENTRIES;
}

/* The offset of this process's own `address` in its file. */
static bool find_self(uintptr_t address, uint64_t *offset)
{
	uint64_t low, high, from;
	char line[4096 + 128];
	bool found = false;
	FILE *file = fopen("/proc/self/maps", "re");

	while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
		found = sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &low, &high, &from) == 3 &&
		        address >= low && address < high;
		if (found)
			*offset = address - low + from;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

double probes_cost_ns(const struct place *place)
{
	unsigned (*function)(unsigned) = is_emulated(place) ? probed_push : probed_other;
	int type = probe_type(), fd = -1;
	struct place self = {.path = "/proc/self/exe"};

	double bare = entries_ns(function);
	if (type >= 0 && find_self((uintptr_t)function, &self.offset))
		fd = open_probe(type, 0, &self);
	if (fd < 0)
		return 0;
	double probed = entries_ns(function);
	close(fd);
	return probed > bare ? probed - bare : 0;
}
