/* SPDX-License-Identifier: MIT */
/* The statistics thread: what the program notices of it, what it writes, and what a fork changes. */
#include "report/report.h"

#include "config.h"
#include "system/warn.h"
#include "pool/pool.h"
#include "pool/fast_path.h"
#include "pool/fork.h"
#include "pool/stats.h"
#include "pool/upkeep.h"
#include "tap.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEEP_BYTES = 64 << 10, LOCAL_BYTES = 100000 };
enum { LIMIT_S = 120, HOUR_MS = 3600000, LINES_BYTES = 1 << 20 };

static char folder[] = "/tmp/report_test.XXXXXX";
static struct config config = {.interval_ms = HOUR_MS};
static const struct report_service service = {
        .name = "named", .mode = "pool", .way = "named", .detail = "a test"};
static struct pool pool;

/* What a scenario found out; it runs in a child. */
static struct facts {
	int error, threads, threads_after;
	int fds_before, fds_after, fds_of_thread;
	unsigned long long blocked;
	bool is_same_mask, is_end_of_file, is_seen, is_trimmed;
	char name[32];
	long stop_ms;
	pid_t child;
} * facts;

/* Nearly as much as a small stack has, as in some programs. */
static __thread volatile char local[LOCAL_BYTES];

static void *make(void *owner)
{
	return calloc(1, owner == NULL);
}

/* Uses as much stack as a program's own function may. */
static void destroy(void *owner, void *object)
{
	volatile char deep[DEEP_BYTES];

	(void)owner;
	for (size_t i = sizeof deep; i-- > 0;)
		deep[i] = local[i];
	free(object);
}

static const struct pool_kind kind = {.name = "a pool", .make = make, .destroy = destroy};

static void use_pool(unsigned count)
{
	static void *object[1000];

	for (unsigned i = 0; i < count; i++)
		object[i] = pool_get(&pool, 0);
	for (unsigned i = 0; i < count; i++)
		pool_put(&pool, 0, object[i]);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void poll_pause(void)
{
	poll(NULL, 0, 5);
}

/* The log's text. */
static const char *lines(void)
{
	static char text[LINES_BYTES];
	int fd = open(config.log, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[bytes > 0 ? bytes : 0] = '\0';
	return text;
}

static unsigned count_lines(const char *with)
{
	unsigned count = 0;

	for (const char *at = lines(); (at = strstr(at, with)) != NULL; at++)
		count++;
	return count;
}

static bool wait_for_line(const char *with)
{
	uint64_t deadline = now_ms() + LIMIT_S * 1000;

	while (count_lines(with) == 0 && now_ms() < deadline)
		poll_pause();
	return count_lines(with) > 0;
}

static int count_entries(const char *path)
{
	DIR *directory = opendir(path);
	int count = 0;

	while (directory != NULL && readdir(directory) != NULL)
		count++;
	if (directory != NULL)
		closedir(directory);
	return count - 2;
}

/* How many statistics threads there are, and the id of one; a sanitizer has threads of its own. */
static int count_threads(pid_t *found)
{
	DIR *directory = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (file != NULL && fgets(name, sizeof name, file) != NULL && strcmp(name, "copool\n") == 0) {
			count++;
			*found = atoi(entry->d_name);
		}
		if (file != NULL)
			fclose(file);
	}
	if (directory != NULL)
		closedir(directory);
	return count;
}

static pid_t our_thread(void)
{
	pid_t thread = 0;

	count_threads(&thread);
	return thread;
}

static int threads(void)
{
	pid_t unused;

	return count_threads(&unused);
}

/* Waits until the thread sleeps, as it has nothing more to do. */
static void wait_for_sleep(pid_t task)
{
	uint64_t deadline = now_ms() + LIMIT_S * 500;
	char path[64], state = '?';

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)task);
	while (state != 'S' && now_ms() < deadline) {
		FILE *file = fopen(path, "r");

		if (file == NULL || fscanf(file, "%*d (copool) %c", &state) != 1)
			state = '?';
		if (file != NULL)
			fclose(file);
		poll_pause();
	}
}

static void look_at_thread(pid_t task)
{
	char path[64], line[200];
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)task);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		sscanf(line, "Name: %31s", facts->name);
		sscanf(line, "SigBlk: %llx", &facts->blocked);
	}
	if (file != NULL)
		fclose(file);
	snprintf(path, sizeof path, "/proc/self/task/%d/fd", (int)task);
	facts->fds_of_thread = count_entries(path);
}

/* Runs a scenario in a child, with a log of its own, for two minutes at most. */
static void try(const char *name, void (*scenario)(void))
{
	pid_t child;
	int status;

	memset(facts, 0, sizeof *facts);
	snprintf(config.log, sizeof config.log, "%s/%s", folder, name);
	unlink(config.log);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(LIMIT_S);
		if (pools_init(config.decay_ms, report_wake) == 0 && pool_start(&pool, &kind, NULL, 32) == 0)
			scenario();
		_exit(EXIT_SUCCESS);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		exit(EXIT_FAILURE);
	facts->child = child;
	if (status != 0)
		tap_ok(false, "report: scenario %s ends well (%d)", name, status);
}

/*
 * Runs it a few times at most, until it stops within `limit_ms`. Code that waits does so each time; a busy machine does
 * not.
 */
static void try_to_stop(const char *name, void (*scenario)(void), long limit_ms)
{
	for (int tries = 0; tries == 0 || (tries < 5 && facts->stop_ms >= limit_ms); tries++) {
		try(name, scenario);
	}
}

static void run_plain(void)
{
	sigset_t before, after;
	int fds[2];
	char byte;

	if (pipe(fds) != 0)
		return;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	facts->fds_before = count_entries("/proc/self/fd");
	report_start(&config, &service, false);
	facts->threads = threads();
	facts->is_seen = count_lines("{\"type\":\"open\"") == 1;
	use_pool(10);
	facts->threads_after = threads();
	facts->fds_after = count_entries("/proc/self/fd");
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	facts->is_same_mask = true;
	for (int i = 1; i < SIGRTMAX; i++)
		facts->is_same_mask =
		        facts->is_same_mask && sigismember(&before, i) == sigismember(&after, i);
	look_at_thread(our_thread());
	close(fds[1]);
	facts->is_end_of_file = read(fds[0], &byte, 1) == 0;
	facts->stop_ms = (long)now_ms();
	report_stop();
	facts->stop_ms = (long)now_ms() - facts->stop_ms;
}

static void test_plain(void)
{
	/* All but KILL and STOP, which cannot be blocked, and the two that glibc needs. */
	unsigned long long all = ~0ULL & ~(1ULL << (SIGKILL - 1)) & ~(1ULL << (SIGSTOP - 1)) & ~(3ULL << 31);

	try_to_stop("plain", run_plain, 1500);
	tap_is(facts->threads, 0, "report: a program that has not pooled anything has no thread of ours");
	tap_ok(facts->is_seen, "report: but its open record, if there is a log");
	tap_is(facts->threads_after, 1, "report: with the first pooled object there is one thread");
	tap_is_text(facts->name, "copool", "report: the thread has a name");
	tap_is(facts->blocked & all, all, "report: the thread blocks all signals");
	tap_ok(facts->is_same_mask, "report: the program's own signal mask stays");
	tap_is(facts->fds_after, facts->fds_before, "report: the program's descriptor table is as it was");
	tap_ok(facts->fds_of_thread >= 2 && facts->fds_of_thread <= 4,
	        "report: the thread's table has the log, and what it reads page tables and a shortage of "
	        "memory by");
	tap_ok(facts->is_end_of_file, "report: the program's pipes still reach end of file");
	tap_ok(facts->stop_ms < 1500, "report: stops at once, however long the interval");
	tap_is(count_lines("{\"type\":\"open\""), 1, "report: one open record");
	tap_is(count_lines("\"host\":\"named\",\"mode\":\"pool\",\"way\":\"named\",\"detail\":"
	                   "\"a test\",\"ppid\":0,"),
	        1, "report: which says what it was told");
	tap_is(count_lines("{\"type\":\"final\""), 1, "report: one final record");
	tap_is(count_lines("\"pool\":\"a pool\",\"create_local\":0,\"create_depot\":0,\"create_new\":10,"), 1,
	        "report: with the last counts");
	tap_is(count_lines("{\"type\":\"sample\""), 0, "report: no sample before the interval");
}

static void run_samples(void)
{
	report_start(&config, &service, false);
	use_pool(1);
	warn("something %s", "happened");
	facts->is_seen = wait_for_line("\"sample\"") && wait_for_line("something");
	report_stop();
}

static void test_samples(void)
{
	config.interval_ms = 10;
	try("samples", run_samples);
	config.interval_ms = HOUR_MS;
	tap_ok(facts->is_seen, "report: samples come by themselves");
	tap_is(count_lines("{\"type\":\"warning\""), 1, "report: and warnings with them");
	tap_is(count_lines("\"text\":\"something happened\"}\n"), 1, "report: in their own words");
}

static void run_unwanted(void)
{
	config.log[0] = '\0';
	report_start(&config, &service, false);
	facts->threads = threads();
	use_pool(100);
	report_wake();
	facts->threads_after = threads();
	report_stop();
}

static void run_inert(void)
{
	facts->fds_before = count_entries("/proc/self/fd");
	config.tell = 1;
	report_inert(&config, &service);
	facts->fds_after = count_entries("/proc/self/fd");
	facts->threads = threads();
	report_stop();
}

static void test_without_thread(void)
{
	try("unwanted", run_unwanted);
	tap_is(facts->threads, 0, "report: without a log, and nothing to trim, there is no thread");
	tap_is(facts->threads_after, 0, "report: nor does use of the pool start one");
	try("inert", run_inert);
	tap_is(facts->threads, 0, "report: a program with nothing to pool gets no thread");
	tap_is(facts->fds_after, facts->fds_before, "report: and no descriptor");
	tap_is(count_lines("{\"type\":\"open\""), 1, "report: its log has the open record");
	tap_is(count_lines("\n"), 1, "report: and no other");
}

/* Trimming has its own clock, which starts when there is something to trim. */
static void run_trimming(void)
{
	uint64_t deadline = now_ms() + LIMIT_S * 500;
	struct pool_stats stats;

	report_start(&config, &service, false);
	use_pool(1);
	while (our_thread() == 0 && now_ms() < deadline)
		poll_pause();
	wait_for_sleep(our_thread());
	use_pool(500);
	do {
		pool_read(&pool, &stats);
		poll_pause();
	} while (stats.depot_batches > 0 && now_ms() < deadline);
	facts->is_trimmed = stats.trimmed > 0 && stats.depot_batches == 0;
	report_stop();
}

static void run_trimming_unlogged(void)
{
	config.log[0] = '\0';
	run_trimming();
}

static void test_trimming(void)
{
	config.decay_ms = 100;
	try("trimming", run_trimming);
	tap_ok(facts->is_trimmed,
	        "report: trimming does not wait for the next sample, and has room for the program's "
	        "functions beside its thread-local memory");
	try("trimming-unlogged", run_trimming_unlogged);
	tap_ok(facts->is_trimmed, "report: nor does it need a log");
	config.decay_ms = 0;
}

static void fork_with(void (*in_child)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		pool_fork_child();
		report_fork_child();
		in_child();
		report_stop();
		_exit(EXIT_SUCCESS);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		facts->error = -ECHILD;
	facts->child = child;
}

static void use_five(void)
{
	uint64_t deadline = now_ms() + LIMIT_S * 500;

	use_pool(5);
	/* Nothing waits for it, so it may not have its name yet. */
	while (threads() == 0 && now_ms() < deadline)
		poll_pause();
	facts->threads_after = threads();
}

static void use_nothing(void)
{
	facts->threads_after = threads();
}

static void run_fork(void)
{
	report_start(&config, &service, false);
	use_pool(3);
	fork_with(use_five);
	report_stop();
}

static void run_idle_fork(void)
{
	report_start(&config, &service, false);
	use_pool(1);
	fork_with(use_nothing);
	report_stop();
}

static void fork_again(void)
{
	fork_with(use_five);
}

static void run_twice(void)
{
	report_start(&config, &service, false);
	use_pool(1);
	fork_with(fork_again);
	report_stop();
}

/* A child that was made without the fork handlers: it has no thread, though the state says so. */
static void run_raw_fork(void)
{
	pid_t child;

	report_start(&config, &service, false);
	use_pool(1);
	child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0) {
		uint64_t start = now_ms();

		report_stop();
		facts->stop_ms = (long)(now_ms() - start);
		_exit(EXIT_SUCCESS);
	}
	waitpid(child, NULL, 0);
	report_stop();
}

static void test_fork(void)
{
	char wanted[100];

	try("fork", run_fork);
	tap_is(facts->error, 0, "report: a fork's child ends well");
	tap_is(facts->threads_after, 1, "report: a child that uses the pool has a thread of its own");
	tap_is(count_lines("{\"type\":\"open\""), 2, "report: and its own open record");
	snprintf(wanted, sizeof wanted, "\"ppid\":%d,", (int)facts->child);
	tap_is(count_lines("\"ppid\":0,"), 1, "report: the parent's has no parent");
	tap_is(count_lines("\"ppid\":"), 2, "report: the child's has one");
	tap_is(count_lines(wanted), 1, "report: which is the process that forked");
	tap_is(count_lines("{\"type\":\"final\""), 2, "report: each has its final record");
	tap_is(count_lines("\"create_local\":0,\"create_depot\":0,\"create_new\":3,"), 1,
	        "report: the parent's counts its own");
	try("idle-fork", run_idle_fork);
	tap_is(facts->threads_after, 0, "report: a child that does not use the pool has no thread");
	tap_is(count_lines("\n"), 2, "report: and writes nothing");
	try("twice", run_twice);
	tap_is(facts->threads_after, 1, "report: a child's child has a thread, too");
	tap_is(count_lines("{\"type\":\"open\""), 2, "report: the one between, which used nothing, has none");
	try_to_stop("raw-fork", run_raw_fork, 1000);
	tap_ok(facts->stop_ms < 1000,
	        "report: a child that no handler was told of does not wait for a thread");
	tap_is(count_lines("\n"), 2, "report: and writes nothing");
}

/* Sanitizers need threads of their own, and die without address space. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

/* ThreadSanitizer ends a process that starts a thread after a fork, unless it is told not to. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);

const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

#if !HAS_SANITIZER
static bool has_no_thread;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	int (*original)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
	        dlsym(RTLD_NEXT, "pthread_create");

	return has_no_thread ? EAGAIN : original(thread, attributes, run, argument);
}
#else
static bool has_no_thread;
#endif

static void run_alone(void)
{
	facts->fds_before = count_entries("/proc/self/fd");
	report_start(&config, &service, false);
	facts->is_seen = count_lines("{\"type\":\"open\"") == 1;
	has_no_thread = true;
	use_pool(7);
	facts->threads = threads();
	facts->fds_after = count_entries("/proc/self/fd");
	report_stop();
}

static void test_alone(void)
{
	try("alone", run_alone);
	tap_is(facts->threads, 0, "report: where no thread can be had, there is none");
	tap_is(facts->fds_after, facts->fds_before, "report: nor a descriptor");
	tap_ok(facts->is_seen && count_lines("{\"type\":\"open\"") == 1,
	        "report: the open record is written all the same, and at the start");
	tap_is(count_lines("the statistics thread cannot be started"), 1,
	        "report: the log says what is lost");
	tap_is(count_lines("\"create_new\":7,"), 1, "report: and at exit there is the final record");
}

/* A pipe of one page that is not read for some time. */
static void run_lost(void)
{
	static char text[1 << 16];
	int reader;
	uint64_t deadline = now_ms() + LIMIT_S * 500;
	size_t used = 0;

	mkfifo(config.log, 0600);
	reader = open(config.log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fcntl(reader, F_SETPIPE_SZ, 4096);
	report_start(&config, &service, false);
	use_pool(1);
	while (strstr(text, "lines of this log that could not be written: ") == NULL && now_ms() < deadline) {
		ssize_t bytes = read(reader, text + used, sizeof text - 1 - used);

		used += bytes > 0 ? (size_t)bytes : 0;
		for (int i = 0; i < 20; i++)
			poll_pause();
	}
	facts->is_seen = strstr(text, "lines of this log that could not be written: ") != NULL;
	report_stop();
}

static void test_lost(void)
{
	config.interval_ms = 10;
	try("lost", run_lost);
	config.interval_ms = HOUR_MS;
	tap_ok(facts->is_seen, "report: lines that were lost are told of as soon as one gets through");
}

static void run_chroot(void)
{
	char moved[PATH_MAX + 10];

	facts->error = 0;
	report_start(&config, &service, false);
	use_pool(1);
	snprintf(moved, sizeof moved, "%s.1", config.log);
	rename(config.log, moved);
	if (chroot("/proc/self/task") != 0 || chdir("/") != 0)
		facts->error = -errno;
	report_stop();
}

static void test_chroot(void)
{
	if (geteuid() != 0) {
		tap_skip("only root may", "report: a program that changes its root folder keeps its log");
		return;
	}
	try("chroot", run_chroot);
	tap_ok(facts->error == 0 && count_lines("{\"type\":\"final\"") == 1,
	        "report: a program that changes its root folder keeps its log, also over a rotation");
}

/* The statistics thread ends for a moment. */
static void run_aside(void)
{
	report_start(&config, &service, false);
	facts->error = report_step_aside();
	use_pool(4);
	facts->threads = threads();
	facts->is_seen = report_step_aside();
	facts->threads_after = count_entries("/proc/self/task");
	facts->fds_before = count_entries("/proc/self/fd");
	report_come_back();
	facts->fds_after = count_entries("/proc/self/fd");
	look_at_thread(our_thread());
	warn("back again");
	facts->is_end_of_file = wait_for_line("back again");
	use_pool(3);
	fork_with(use_five);
	report_stop();
}

static void test_aside(void)
{
	config.interval_ms = 10;
	try("aside", run_aside);
	config.interval_ms = HOUR_MS;
	tap_is(facts->error, 0, "report: a thread that has not started need not step aside");
	tap_is(facts->threads, 1, "report: nor is it kept from starting");
	tap_ok(facts->is_seen, "report: it steps aside for what takes a process of one thread");
	if (!HAS_SANITIZER)
		tap_is(facts->threads_after, 1, "report: and then there is one, for the kernel as well");
	tap_is_text(facts->name, "copool", "report: it comes back");
	tap_is(facts->fds_after, facts->fds_before, "report: with no descriptor in the program's table");
	tap_ok(facts->is_end_of_file, "report: and writes on");
	tap_is(count_lines("\"ppid\":0,"), 1, "report: its log has no second open record");
	tap_is(count_lines("{\"type\":\"final\""), 2, "report: and final records at the end alone");
	tap_ok(count_lines("\"create_local\":3,\"create_depot\":0,\"create_new\":4,") > 0,
	        "report: which count all that was");
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

/*
 * For ThreadSanitizer a descriptor's number is the same file in all threads, but the statistics thread has a table of its
 * own. So the numbers that it uses are not used here.
 */
static void occupy_descriptors(void)
{
	for (int i = 0; i < 16; i++)
		(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int main(void)
{
	occupy_descriptors();
	facts = mmap(NULL, sizeof *facts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (facts == MAP_FAILED || mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	test_plain();
	test_samples();
	test_without_thread();
	test_trimming();
	test_fork();
	if (!HAS_SANITIZER)
		test_alone();
	test_lost();
	test_chroot();
	test_aside();
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
