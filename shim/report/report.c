/*
 * The statistics thread: writes the log, and runs the clock of the trimming. It is told things by `bell`, a
 * futex that anybody may ring without waiting:
 *
 *	        report_start              nothing to trim
 *	NONE ------------------> RUNNING <---------------> ASLEEP	report_wake rings
 *	 |                          ^ |                       |
 *	 | no thread to be had      | +--------- fork --------+
 *	 v                   pool used|                       |
 *	ALONE ------- fork ----> ARMED                      DONE	after report_stop
 *
 * report_wait goes from NONE to ARMED. ALONE: constructor and destructor write what they can themselves.
 * `shared` is written as its comments say; everything else belongs to the thread, or, while there is none, to
 * the constructor, the destructor or the forking thread.
 */
#include "report/report.h"

#include "config.h"
#include "libc/warn.h"
#include "pool/pool.h"
#include "report/line.h"
#include "report/log.h"
#include "report/worker.h"

#include <errno.h>
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

enum { START_WAIT_MS = 1000, STOP_WAIT_MS = 2000, CHILD_WAIT_MS = 20, FIRST_FD = 3 };

enum phase { PHASE_NONE, PHASE_ALONE, PHASE_ARMED, PHASE_RUNNING, PHASE_ASLEEP, PHASE_DONE };

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
	bool is_late;      /* the program was running when the statistics began */
	bool has_begun;    /* `open` has been said, or could not be */
	bool has_log;      /* wanted, and could be opened */
	bool complains;    /* warnings go to the standard error, for want of a log */
	pid_t pid;         /* the process that all this is about */
	pid_t parent;      /* of a fork that went on without exec; 0 else */
	uint64_t start_ms; /* CLOCK_MONOTONIC, as all times here */
	uint64_t sample_ms;
	unsigned dropped;   /* warnings that the queue had no room for, as last said */
	size_t stack_bytes; /* of the thread; written by the constructor */
	struct line line;
} report;

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

static int write_line(void)
{
	line_end(&report.line);
	return log_write(&report.log, report.line.text, report.line.used);
}

static int write_warning(const char *text)
{
	line_begin(&report.line, RECORD_WARNING);
	line_text(&report.line, "text", text);
	return write_line();
}

static void tell(const char *text)
{
	if (report.complains)
		log_complain(text);
	if (report.has_log)
		write_warning(text);
}

static void write_lost(void)
{
	unsigned lost = report.log.lost;
	char text[WARN_BYTES];

	if (lost == 0 || !report.has_log)
		return;
	snprintf(text, sizeof text, "lines of this log that could not be written: %u", lost);
	/* If it does not get through either, they are still to be told of. */
	report.log.lost = write_warning(text) == 0 ? 0 : lost;
}

/* What went wrong since the last call, lost lines included. */
static void write_warnings(void)
{
	unsigned dropped = warn_dropped();
	char text[WARN_BYTES];

	while (warn_next(text))
		tell(text);
	if (dropped != report.dropped) {
		snprintf(text, sizeof text, "%u warnings came too fast and were lost",
		        dropped - report.dropped);
		report.dropped = dropped;
		tell(text);
	}
	write_lost();
}

static void write_pools(const char *type)
{
	for (unsigned i = 0; i < pool_count(); i++) {
		line_pool(&report.line, type, pool_at(i), now_ms() - report.start_ms);
		write_line();
	}
}

static void warn_of_log(const char *why, const char *consequence)
{
	warn("COPOOL_LOG=%.300s: %s; %s", report.config->log, why, consequence);
}

static const char *error_text(int error)
{
#if __GLIBC_PREREQ(2, 32)
	return strerrordesc_np(error) ?: "unknown error"; /* never translated, so it takes no lock */
#else
	return strerror(error);
#endif
}

static const char *why_no_log(int error)
{
	switch (error) {
	case -EDOM:
		return "after % comes p, n or %";
	case -ENXIO:
		return "a FIFO that nobody reads, a socket, or no such device";
	case -ELOOP:
		return "a symbolic link at its end is not followed";
	default:
		return error_text(-error);
	}
}

/* Whether the log can be opened; says why not. */
static bool open_log(bool is_private)
{
	const struct config *config = report.config;
	int error = log_init(&report.log, config->log, config->start_dir, is_private);

	if (error == 0)
		error = log_open(&report.log);
	if (error != 0)
		warn_of_log(why_no_log(error), "there will be no log");
	return error == 0;
}

/* The `open` record, and what went wrong before; on the standard error if the log cannot say it. */
static void begin(bool is_private)
{
	bool is_wanted = report.config->log[0] != '\0';
	int error;

	report.has_begun = true;
	/* Not of a child, whose parent said it, nor later, when it may be anything. */
	report.complains = report.parent == 0 && !report.is_late && strcmp(report.config->log, "stderr") != 0;
	report.has_log = is_wanted && open_log(is_private);
	if (report.has_log) {
		line_open(&report.line, report.config, report.host, report.parent);
		error = write_line();
		report.complains = report.complains && error != 0;
		if (error != 0)
			warn_of_log(error_text(-error), "lines that cannot be written are lost");
	}
	write_warnings();
	report.complains = false;
}

static void write_samples(void)
{
	uint64_t now = now_ms();

	if (!report.has_log || now < report.sample_ms)
		return;
	log_refresh(&report.log);
	write_warnings();
	write_pools(RECORD_SAMPLE);
	report.sample_ms = now + report.config->interval_ms;
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

/* How long there is nothing to do, given how long there is nothing to trim. */
static unsigned shorten(unsigned wait)
{
	uint64_t now = now_ms(), left = report.sample_ms > now ? report.sample_ms - now : 0;

	return report.has_log && left < wait ? (unsigned)left : wait;
}

/* What is due, until the bell says stop. */
static void serve(void)
{
	for (;;) {
		/* [bell] acquire: sees what was done before it was rung; pairs with ring. */
		uint32_t seen = atomic_load_explicit(&shared.bell, memory_order_acquire);
		unsigned wait;

		/* [is_stopping] relaxed: set before the bell was rung. */
		if (atomic_load_explicit(&shared.is_stopping, memory_order_relaxed))
			return;
		wait = pool_trim_tick();
		if (wait == UINT_MAX) {
			/* [phase] seq_cst: before the second look at the pools; pairs with report_wake. */
			atomic_store_explicit(&shared.phase, PHASE_ASLEEP, memory_order_seq_cst);
			wait = pool_trim_tick();
		}
		write_samples();
		futex_wait(&shared.bell, seen, shorten(wait));
		/* [phase] relaxed: who still sees ASLEEP rings once too often. */
		atomic_store_explicit(&shared.phase, PHASE_RUNNING, memory_order_relaxed);
	}
}

static void *run(void *unused)
{
	bool is_private = leave_host_files();

	(void)unused;
	pthread_setname_np(pthread_self(), "copool");
	/* A fork's child that is killed in the middle of a line would spoil its parent's log; most live
	 * briefly. */
	if (report.parent != 0)
		futex_wait(&shared.bell, 0, CHILD_WAIT_MS);
	begin(is_private);
	if (is_private && strcmp(report.config->log, "stderr") != 0)
		close(STDERR_FILENO);
	ring(&shared.step);
	serve();
	end();
	ring(&shared.step);
	return NULL;
}

/* Starts the thread, and is RUNNING; or ALONE and -errno. */
static int start(void)
{
	int error;

	report.start_ms = now_ms();
	report.sample_ms = report.start_ms + report.config->interval_ms;
	/* [phase] relaxed: the new thread sees what was done before it. */
	atomic_store_explicit(&shared.phase, PHASE_RUNNING, memory_order_relaxed);
	error = worker_start(run, report.stack_bytes);
	if (error == 0)
		return 0;
	warn("the statistics thread cannot be started (%s): no samples, and no idle object is given back",
	        error_text(-error));
	atomic_store_explicit(&shared.phase, PHASE_ALONE, memory_order_relaxed);
	return error;
}

/* ---- without a thread ---- */

/*
 * Nothing that is written by the host's own thread gets it a signal: a broken pipe, a limit on file sizes; or
 * a terminal that stops who writes from the background, which then takes it without a word.
 */
static void without_signals(void (*write)(void))
{
	static const int number[] = {SIGPIPE, SIGXFSZ};
	sigset_t ours, blocked, before, pending;

	sigemptyset(&ours);
	sigpending(&pending);
	for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
		if (!sigismember(&pending, number[i]))
			sigaddset(&ours, number[i]);
	}
	blocked = ours;
	sigaddset(&blocked, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	write();
	while (sigtimedwait(&ours, NULL, &(struct timespec){0, 0}) > 0)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void begin_alone(void)
{
	begin(false);
}

static void end_alone(void)
{
	if (!report.has_begun)
		begin(false);
	end();
}

/* ---- the ways in ---- */

static void know(const struct config *config, const struct report_host *host)
{
	report.config = config;
	report.host = host;
	report.pid = getpid();
	log_know_standard();
}

int report_start(const struct config *config, const struct report_host *host)
{
	int error = 0;

	know(config, host);
	report.stack_bytes = worker_stack_bytes();
	if (config->log[0] != '\0' || config->decay_ms != 0) {
		error = start();
		if (error == 0)
			await(1, START_WAIT_MS);
		else
			without_signals(begin_alone);
	} else if (config_mistakes() > 0) {
		without_signals(begin_alone);
	}
	return error;
}

void report_inert(const struct config *config, const struct report_host *host)
{
	know(config, host);
	if (config->log[0] != '\0')
		without_signals(begin_alone);
}

void report_wait(
        const struct config *config, const struct report_host *until_then, const struct report_host *host)
{
	report_inert(config, until_then);
	if (config->log[0] == '\0' && config->decay_ms == 0)
		return;
	report.host = host;
	report.stack_bytes = worker_stack_bytes();
	report.is_late = true;
	report.has_begun = report.has_log = false;
	/* [phase] relaxed: nobody uses a pool before the constructor is done. */
	atomic_store_explicit(&shared.phase, PHASE_ARMED, memory_order_relaxed);
}

void report_stop(void)
{
	/* [phase] relaxed: written by this thread, or by the thread that is asked to stop. */
	int phase = atomic_load_explicit(&shared.phase, memory_order_relaxed);

	/* A child that the fork handlers did not hear of has no thread. */
	if (report.pid != getpid())
		return;
	if (phase == PHASE_ALONE)
		without_signals(end_alone);
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

	if (phase == PHASE_NONE || phase == PHASE_DONE)
		return;
	warn_fork_child();
	atomic_store_explicit(&shared.bell, 0, memory_order_relaxed);
	atomic_store_explicit(&shared.step, 0, memory_order_relaxed);
	atomic_store_explicit(&shared.is_stopping, false, memory_order_relaxed);
	atomic_store_explicit(&shared.phase, PHASE_ARMED, memory_order_relaxed);
	/* The log's descriptor was in the table of a thread that is not here. */
	report.log.fd = -1;
	report.has_begun = report.has_log = false;
	report.complains = false;
	report.parent = report.pid;
	report.pid = getpid();
}

/* Only the one thread that succeeds goes on. */
static bool change(int from, int to)
{
	/* [phase] relaxed: the bell, and the making of the thread, publish what they must. */
	return atomic_compare_exchange_strong_explicit(
	        &shared.phase, &from, to, memory_order_relaxed, memory_order_relaxed);
}

void report_wake(void)
{
	int saved = errno, phase;

	/* [phase] seq_cst fence: what the caller did before is seen by serve(), or its sleep is seen here. */
	atomic_thread_fence(memory_order_seq_cst);
	phase = atomic_load_explicit(&shared.phase, memory_order_relaxed);
	if (phase == PHASE_ARMED && change(PHASE_ARMED, PHASE_RUNNING))
		start();
	else if (phase == PHASE_ASLEEP && change(PHASE_ASLEEP, PHASE_RUNNING))
		ring(&shared.bell);
	errno = saved;
}
