/*
 * The statistics thread: writes the log, and runs the clock of the trimming. It is told things by `bell`, a
 * futex that anybody may ring without waiting:
 *
 *	       report_start                report_wake, in a fork's child or when asleep
 *	IDLE ---------------> RUNNING <---> ASLEEP
 *	                         |            |         ARMED: after fork, until the pool is used
 *	                         +---- stop --+----> DONE
 *
 * `shared` is written as its comments say; everything else belongs to the thread, or, while there is none, to
 * the constructor or the forking thread.
 */
#include "report/report.h"

#include "config.h"
#include "libc/warn.h"
#include "pool/pool.h"
#include "report/line.h"
#include "report/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { START_WAIT_MS = 1000, STOP_WAIT_MS = 2000, STACK_BYTES = 128 << 10, FIRST_FD = 3 };

enum phase { PHASE_IDLE, PHASE_ARMED, PHASE_RUNNING, PHASE_ASLEEP, PHASE_DONE };

static struct {
	_Atomic int phase;     /* an enum phase; changed by who the picture above names */
	_Atomic uint32_t bell; /* rung by adding one */
	_Atomic uint32_t step; /* 1: the thread is ready, 2: it has ended; a futex as well */
	_Atomic bool is_stopping;
} shared;

static struct {
	const struct config *config; /* written by report_start, as `host` */
	const struct report_host *host;
	struct log log;
	bool has_log;      /* wanted, and its name makes sense */
	int complaint;     /* the standard error of the start, private; -1: none */
	pid_t parent;      /* of a fork that went on without exec; 0 else */
	uint64_t start_ms; /* CLOCK_MONOTONIC, as all times here */
	uint64_t sample_ms;
	unsigned dropped; /* warnings that the queue had no room for, as last said */
	struct line line;
} report = {.complaint = -1};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, unsigned wait_ms)
{
	struct timespec timeout = {wait_ms / 1000, (long)(wait_ms % 1000) * 1000000};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, wait_ms == UINT_MAX ? NULL : &timeout);
}

static void ring(_Atomic uint32_t *word)
{
	/* [bell, step] release: what was done before is seen by who wakes; pairs with the acquire loads. */
	atomic_fetch_add_explicit(word, 1, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
}

/* Waits until the thread has come to `step`, at most `wait_ms`. */
static void await(uint32_t step, unsigned wait_ms)
{
	uint64_t now = now_ms(), deadline = now + wait_ms;

	for (; now < deadline; now = now_ms()) {
		/* [step] acquire: pairs with ring. */
		uint32_t seen = atomic_load_explicit(&shared.step, memory_order_acquire);

		if (seen >= step)
			return;
		futex_wait(&shared.step, seen, deadline - now);
	}
}

/* ---- what is written ---- */

static void write_line(void)
{
	line_end(&report.line);
	log_write(&report.log, report.line.text, report.line.used);
}

static void write_warning(const char *text)
{
	if (report.complaint >= 0)
		dprintf(report.complaint, "copool: %s\n", text);
	if (!report.has_log)
		return;
	line_begin(&report.line, RECORD_WARNING);
	line_text(&report.line, "text", text);
	write_line();
}

/* What went wrong since the last call, lost lines included. */
static void write_warnings(void)
{
	unsigned lost = report.log.lost, dropped = warn_dropped();
	char text[WARN_BYTES];

	while (warn_next(text))
		write_warning(text);
	if (dropped != report.dropped) {
		snprintf(text, sizeof text, "%u warnings came too fast and were lost",
		        dropped - report.dropped);
		report.dropped = dropped;
		write_warning(text);
	}
	if (lost == 0 || !report.has_log)
		return;
	snprintf(text, sizeof text, "%u lines of this log could not be written and are lost", lost);
	report.log.lost = 0;
	write_warning(text);
	/* It did not get through either: they are still to be told of. */
	if (report.log.lost > 0)
		report.log.lost = lost;
}

static void write_open(void)
{
	struct line *line = &report.line;

	line_begin(line, RECORD_OPEN);
	line_number(line, "format", RECORD_FORMAT);
	line_text(line, "version", COPOOL_VERSION);
	line_text(line, "program", program_invocation_short_name);
	line_text(line, "host", report.host->name);
	line_text(line, "mode", report.host->mode);
	line_text(line, "detail", report.host->detail);
	line_number(line, "ppid", report.parent);
	line_number(line, "interval_ms", report.config->interval_ms);
	line_number(line, "max_batches", pool_count() > 0 ? pool_limit(pool_at(0)) : 0);
	line_number(line, "decay_ms", report.config->decay_ms);
	write_line();
}

static void write_pools(const char *type)
{
	struct line *line = &report.line;
	struct pool_stats stats;

	for (unsigned i = 0; i < pool_count(); i++) {
		pool_read(pool_at(i), &stats);
		line_begin(line, type);
		line_number(line, "uptime_ms", now_ms() - report.start_ms);
		line_text(line, "pool", pool_name(pool_at(i)));
#define ADD(name, kind, help) line_number(line, #name, stats.name);
		RECORD_COUNTERS(ADD)
#undef ADD
		write_line();
	}
}

/* Whether the log can be written to; says why not. */
static bool open_log(bool is_private)
{
	const struct config *config = report.config;
	int error;

	if (config->log[0] == '\0')
		return false;
	error = log_init(&report.log, config->log, config->start_dir, is_private);
	if (error == 0)
		error = log_open(&report.log);
	if (error == 0)
		return true;
	warn("COPOOL_LOG=%.300s: %s; there will be no log", config->log,
	        error == -EINVAL  ? "after % comes p, n or %"
	        : error == -ENXIO ? "nobody reads that FIFO"
	                          : strerrordesc_np(-error));
	return false;
}

/* ---- the thread ---- */

/*
 * Makes our table of descriptors private and empties it, but for the standard ones that are still needed: the
 * host's files and pipes are its own business. False where the kernel cannot: the table stays the host's.
 */
static bool leave_host_files(void)
{
	const char *log = report.config->log;
	bool is_private = close_range(FIRST_FD, ~0U, CLOSE_RANGE_UNSHARE) == 0;

	unshare(CLONE_FS);
	if (!is_private)
		return false;
	close(STDIN_FILENO);
	if (strcmp(log, "stdout") != 0)
		close(STDOUT_FILENO);
	return true;
}

static void begin(void)
{
	bool is_private = leave_host_files();

	/* In a fork's child, descriptor 2 may be anything by now. */
	if (report.parent == 0 && strcmp(report.config->log, "stderr") != 0)
		report.complaint = fcntl(STDERR_FILENO, F_GETFD) >= 0 ? STDERR_FILENO : -1;
	report.has_log = open_log(is_private);
	if (report.has_log) {
		report.complaint = -1;
		write_open();
	}
	write_warnings();
	report.complaint = -1;
	if (is_private && strcmp(report.config->log, "stderr") != 0)
		close(STDERR_FILENO);
}

/* Does what is due; returns how long nothing will be. */
static unsigned work(void)
{
	uint64_t now = now_ms();
	unsigned wait = pool_trim_tick();

	if (!report.has_log)
		return wait;
	if (now >= report.sample_ms) {
		log_refresh(&report.log);
		write_warnings();
		write_pools(RECORD_SAMPLE);
		report.sample_ms = now + report.config->interval_ms;
	}
	return report.sample_ms - now < wait ? report.sample_ms - now : wait;
}

/* Waits for the bell. When there is nothing to wait for, says so first: then who needs us rings. */
static void rest(uint32_t seen, unsigned wait)
{
	if (wait == UINT_MAX) {
		/* [phase] seq_cst: before the second look at the pools; pairs with the fence in report_wake.
		 */
		atomic_store_explicit(&shared.phase, PHASE_ASLEEP, memory_order_seq_cst);
		wait = work();
	}
	futex_wait(&shared.bell, seen, wait);
	atomic_store_explicit(&shared.phase, PHASE_RUNNING, memory_order_relaxed);
}

static void end(void)
{
	if (!report.has_log)
		return;
	log_refresh(&report.log);
	write_pools(RECORD_FINAL);
	write_warnings();
	log_close(&report.log);
}

static void *run(void *unused)
{
	(void)unused;
	pthread_setname_np(pthread_self(), "copool");
	begin();
	ring(&shared.step);
	for (;;) {
		/* [bell] acquire: sees what was done before it was rung; pairs with ring. */
		uint32_t seen = atomic_load_explicit(&shared.bell, memory_order_acquire);

		/* [is_stopping] relaxed: set before the bell was rung. */
		if (atomic_load_explicit(&shared.is_stopping, memory_order_relaxed))
			break;
		rest(seen, work());
	}
	end();
	ring(&shared.step);
	return NULL;
}

/* Starts the thread, which no signal of the host's reaches. */
static int start_thread(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all;
	int error;

	report.start_ms = now_ms();
	report.sample_ms = report.start_ms + report.config->interval_ms;
	error = pthread_attr_init(&attributes);
	if (error != 0)
		return -error;
	sigfillset(&all);
	pthread_attr_setsigmask_np(&attributes, &all);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	atomic_store_explicit(&shared.phase, PHASE_RUNNING, memory_order_relaxed);
	error = pthread_create(&thread, &attributes, run, NULL);
	if (error == EINVAL) {
		/* So much thread-local storage that it does not fit into the small stack. */
		pthread_attr_setstacksize(&attributes, 64 * STACK_BYTES);
		error = pthread_create(&thread, &attributes, run, NULL);
	}
	pthread_attr_destroy(&attributes);
	if (error != 0)
		atomic_store_explicit(&shared.phase, PHASE_IDLE, memory_order_relaxed);
	return -error;
}

/* ---- the ways in ---- */

int report_start(const struct config *config, const struct report_host *host)
{
	int error;

	report.config = config;
	report.host = host;
	if (config->log[0] == '\0' && config->decay_ms == 0 && config_mistakes() == 0)
		return 0;
	error = start_thread();
	if (error == 0)
		await(1, START_WAIT_MS);
	return error;
}

void report_inert(const struct config *config, const struct report_host *host)
{
	sigset_t ours, before, pending;

	report.config = config;
	report.host = host;
	if (config->log[0] == '\0')
		return;
	/* A pipe without a reader, a limit on file sizes: no reason for the host to get a signal. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGPIPE);
	sigaddset(&ours, SIGXFSZ);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &ours, &before);
	report.has_log = open_log(false);
	if (report.has_log) {
		write_open();
	} else if (fcntl(STDERR_FILENO, F_GETFD) >= 0) {
		report.complaint = STDERR_FILENO;
	}
	write_warnings();
	if (!sigismember(&pending, SIGPIPE) && !sigismember(&pending, SIGXFSZ)) {
		while (sigtimedwait(&ours, NULL, &(struct timespec){0, 0}) > 0)
			;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void report_stop(void)
{
	/* [phase] relaxed: written by this thread, or by the thread that is asked to stop. */
	int phase = atomic_load_explicit(&shared.phase, memory_order_relaxed);

	if (phase != PHASE_RUNNING && phase != PHASE_ASLEEP)
		return;
	/* [is_stopping] relaxed: published by the bell. */
	atomic_store_explicit(&shared.is_stopping, true, memory_order_relaxed);
	ring(&shared.bell);
	await(2, STOP_WAIT_MS);
	atomic_store_explicit(&shared.phase, PHASE_DONE, memory_order_relaxed);
}

void report_fork_child(void)
{
	/* [all] relaxed: the child has one thread. */
	int phase = atomic_load_explicit(&shared.phase, memory_order_relaxed);

	if (phase == PHASE_IDLE || phase == PHASE_DONE)
		return;
	atomic_store_explicit(&shared.bell, 0, memory_order_relaxed);
	atomic_store_explicit(&shared.step, 0, memory_order_relaxed);
	atomic_store_explicit(&shared.is_stopping, false, memory_order_relaxed);
	atomic_store_explicit(&shared.phase, PHASE_ARMED, memory_order_relaxed);
	/* The log's descriptor was in the table of a thread that is not here. */
	report.log.fd = -1;
	report.parent = getppid();
}

void report_wake(void)
{
	int saved = errno, phase;

	/* [phase] seq_cst fence: what the caller did before is seen by rest(), or its sleep is seen here. */
	atomic_thread_fence(memory_order_seq_cst);
	phase = atomic_load_explicit(&shared.phase, memory_order_relaxed);
	if (phase == PHASE_ARMED) {
		/* [phase] relaxed: one thread of those that come here starts it. */
		if (atomic_compare_exchange_strong_explicit(
		            &shared.phase, &phase, PHASE_RUNNING, memory_order_relaxed, memory_order_relaxed))
			start_thread();
	} else if (phase == PHASE_ASLEEP) {
		ring(&shared.bell);
	}
	errno = saved;
}
