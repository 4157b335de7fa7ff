/* SPDX-License-Identifier: MIT */
/*
 * The statistics thread: has the journal written, and runs the clock of the trimming. It is told things by
 *`bell`, a futex that anybody may ring without waiting:
 *
 *	      report_start           a pool is used             nothing to trim
 *	NONE --------------> ARMED -------------------> RUNNING <---------------> ASLEEP
 *	                      ^ ^                        |   ^                      |
 *	                      | +--------- fork ---------+---|----------------------+
 *	                      |                          |   | report_come_back     |
 *	       fork           |     no thread to be had  |  DONE <------------------+ report_step_aside
 *	ALONE ----------------+ <------------------------+                            report_withdraw, report_stop
 *
 * In a program that only waits for what it may load it stays NONE until report_arrive(). Where there is nothing for the thread to do, LATENT takes the place of ARMED, until somebody asks for a change from
 * outside (pool_is_asked). The constructor writes the `open` record itself, and so has a program that pools nothing no
 * thread. ALONE: the destructor writes what it can.
 * What the program does that concerns the thread is in conduct.c.
 */
#include "report/report.h"

#include "config.h"
#include "system/clock.h"
#include "libc/elsewhere.h"
#include "system/sandbox.h"
#include "system/warn.h"
#include "pool/pool.h"
#include "pool/control.h"
#include "pool/upkeep.h"
#include "report/bell.h"
#include "report/outside_view.h"
#include "report/thread/main_thread.h"
#include "report/journal.h"
#include "report/thread/thread_end.h"
#include "report/log.h"
#include "report/moment.h"
#include "report/phase.h"
#include "report/pressure.h"
#include "report/quiet.h"
#include "report/record.h"
#include "report/user.h"
#include "report/thread/own_thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	START_WAIT_MS = 1000,
	CHILD_WAIT_MS = 20,
	CONFINED_WAIT_MS = 1000, /* at most, where the bell may not be rung */
};

#define FIRST_HAS_ENDED "the program's first thread has ended"

struct report_shared report_shared;
struct report report;

void report_set_out(int phase)
{
	/* [phase] relaxed: nobody uses a pool yet, or there is one thread; or it ends. */
	atomic_store_explicit(&report_shared.phase, phase, memory_order_relaxed);
}

/* ---- the thread ---- */

/* What is due, until the bell says stop. */
static void serve(void)
{
	for (;;) {
		/* [bell] acquire: sees what was done before it was rung; pairs with bell_ring. */
		uint32_t seen = atomic_load_explicit(&report_shared.bell, memory_order_acquire);
		unsigned wait;

		/* [is_stopping] relaxed: set before the bell was rung. */
		if (atomic_load_explicit(&report_shared.is_stopping, memory_order_relaxed))
			return;
		pressure_relieve(&report.pressure);
		wait = pool_trim_tick();
		if (wait == UINT_MAX) {
			/* [phase] seq_cst: before the second look at the pools; pairs with report_wake. */
			atomic_store_explicit(&report_shared.phase, PHASE_ASLEEP, memory_order_seq_cst);
			atomic_thread_fence(memory_order_seq_cst);
			wait = pool_trim_tick();
		}
		journal_sample();
		wait = journal_wait_ms(wait, pool_trim_patience());
		/* [is_confined] relaxed: set before the bell was rung. */
		if (atomic_load_explicit(&report_shared.is_confined, memory_order_relaxed) &&
		        wait > CONFINED_WAIT_MS)
			wait = CONFINED_WAIT_MS;
		own_thread_rest(wait);
		main_thread_wait(&report_shared.bell, seen, wait);
		if (main_thread_has_ended()) {
			warn(FIRST_HAS_ENDED ": " NO_MORE);
			return;
		}
		/* [phase] relaxed: who still sees ASLEEP rings once too often. */
		atomic_store_explicit(&report_shared.phase, PHASE_RUNNING, memory_order_relaxed);
	}
}

static void *run(void *unused)
{
	bool is_private = own_thread_leave_files(strcmp(report.config->log, "stdout") == 0);

	(void)unused;
	pthread_setname_np(pthread_self(), "copool");
	thread_end_know(&report.life);
	/* A fork's child that is killed in the middle of a line would spoil its parent's log; most live
	 * briefly. */
	if (report.is_child && !report.is_hurried)
		bell_wait(&report_shared.bell, 0, CHILD_WAIT_MS);
	journal_begin(is_private);
	report.pressure = (struct pressure)PRESSURE_INIT;
	/* In the program's own table no descriptor of ours shall be. */
	if (is_private)
		pressure_open(&report.pressure, "");
	if (is_private && strcmp(report.config->log, "stderr") != 0)
		close(STDERR_FILENO);
	bell_ring(&report_shared.step);
	serve();
	/* [is_aside] relaxed: set before the bell was rung. */
	if (atomic_load_explicit(&report_shared.is_aside, memory_order_relaxed) && !main_thread_has_ended())
		journal_pause();
	else
		journal_end();
	report_set_out(PHASE_DONE);
	bell_ring(&report_shared.step);
	main_thread_follow();
	return NULL;
}

bool report_wants_files(const struct config *config)
{
	return config->log[0] != '\0' || config->prometheus[0] != '\0';
}

static bool wants_thread(const struct config *config)
{
	return report_wants_files(config) || config->decay_ms != 0;
}

void report_begin(void)
{
	int error;

	journal_start_clock();
	error = own_thread_start(run, report.stack_bytes);
	if (error == 0) {
		if (report_wants_files(report.config) && (!report.is_child || report.is_hurried))
			bell_await(&report_shared.step, 1, START_WAIT_MS);
		return;
	}
	warn_later(
	        "the statistics thread cannot be started (%s): no samples, and no idle object is given back",
	        warn_reason(-error));
	report_set_out(PHASE_ALONE);
}

/* ---- the ways in ---- */

static void know(const struct config *config, const struct report_host *host)
{
	report.config = config;
	report.pid = clock_pid();
	journal_know(config, host);
	outside_view_know(config, host, &report_shared.phase);
	log_know_standard();
}

bool report_change(int from, int to)
{
	/* [phase] relaxed: the bell, and the making of the thread, publish what they must. */
	return atomic_compare_exchange_strong_explicit(
	        &report_shared.phase, &from, to, memory_order_relaxed, memory_order_relaxed);
}

/*
 * The first thread calls pthread_exit, and the others go on. The last of them ends the process; that must not
 * be ours, which has none of the files that are flushed then.
 */
static void leave(void *unused)
{
	(void)unused;
	report_withdraw(FIRST_HAS_ENDED);
}

/* In the thread that began the process, to hear of its end. */
static void hear_of_first_thread(void)
{
	if (report.has_key || pthread_key_create(&report.first_thread, leave) == 0) {
		report.has_key = true;
		pthread_setspecific(report.first_thread, &report);
	}
}

static void know_first_thread(void)
{
	main_thread_know();
	moment_know();
}

void report_start(const struct config *config, const struct report_host *host, bool at_once)
{
	know(config, host);
	know_first_thread();
	hear_of_first_thread();
	report.stack_bytes = own_thread_stack_bytes();
	journal_start_clock();
	/* Also where there is nothing to say: what comes later is not for the standard error any more. */
	if (report_wants_files(config) || warn_is_any())
		quietly(journal_announce);
	else
		journal_announce();
	report_set_out(!wants_thread(config) ? PHASE_LATENT : at_once ? PHASE_RUNNING : PHASE_ARMED);
	if (wants_thread(config) && at_once) {
		report_begin();
		bell_await(&report_shared.step, 1, START_WAIT_MS);
	}
}

void report_inert(const struct config *config, const struct report_host *host)
{
	know(config, host);
	if (journal_is_told() || (config->log[0] == '\0' && warn_is_any() && host->has_failed))
		quietly(journal_announce);
}

void report_wait(const struct config *config, const struct report_host *host)
{
	report_inert(config, host);
	know_first_thread();
	journal_reset(0);
	report.stack_bytes = own_thread_stack_bytes();
	report.is_waiting = true;
}

bool report_may_arrive(void)
{
	/* [is_barred] relaxed: a word by itself. */
	return !sandbox_is_tight() && !atomic_load_explicit(&report_shared.is_barred, memory_order_relaxed);
}

static void become_child(pid_t parent)
{
	journal_reset(parent);
	report.is_child = true;
	report.is_hurried = false;
	report.pid = clock_pid();
}

void report_arrive(const struct report_host *host, pid_t parent)
{
	if (report.pid != clock_pid()) {
		warn_fork_child();
		outside_view_fork_child(parent != 0 ? parent : getppid());
		if (parent != 0)
			know_first_thread();
		else
			main_thread_forget();
		become_child(parent != 0 ? parent : getppid());
	}
	journal_know(report.config, host);
	outside_view_tell_host(host);
	/* Of pthread_exit() in the first thread others cannot hear; main_thread_wait() does. */
	if (gettid() == report.pid)
		hear_of_first_thread();
	if (report.why != NULL)
		report_set_out(report.is_child ? PHASE_DONE : PHASE_ALONE);
	else
		report_set_out(wants_thread(report.config) ? PHASE_ARMED : PHASE_LATENT);
}

void report_tell_now(void *unused)
{
	(void)unused;
	quietly(report.is_child ? journal_announce : journal_tell);
}

static void take_word(void *unused)
{
	char text[WARN_BYTES];

	if (!user_take_word(text, sizeof text))
		return;
	log_complain(text);
	warn("%s", text);
	report_tell_now(unused);
}

/* A child has left word, and there may be no thread to tell it. */
void report_fork_parent(void)
{
	if (user_has_word() && report.pid == clock_pid() && !sandbox_is_tight() &&
	        report_change(PHASE_ARMED, PHASE_ALONE)) {
		elsewhere_run(take_word, NULL);
		report_change(PHASE_ALONE, PHASE_ARMED);
	}
}

bool report_end(void)
{
	bool is_done;
	/* [phase] relaxed: written by this thread, or by the thread that is asked to stop. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed);

	/* A child that the fork handlers did not hear of has no thread. */
	if (sandbox_is_tight() || report.pid != clock_pid())
		return false;
	if (phase == PHASE_ALONE && pool_count() > 0) {
		if (report.why != NULL)
			warn_later("%s: " NO_MORE, report.why);
		quietly(journal_end);
	}
	if (phase != PHASE_RUNNING && phase != PHASE_ASLEEP)
		return false;
	/* [is_stopping] relaxed: published by the bell. */
	atomic_store_explicit(&report_shared.is_stopping, true, memory_order_relaxed);
	bell_ring(&report_shared.bell);
	is_done = bell_await(&report_shared.step, 2, STOP_WAIT_MS);
	atomic_store_explicit(&report_shared.phase, PHASE_DONE, memory_order_relaxed);
	return is_done;
}

void report_stop(void)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed);

	report_fork_parent();
	/* Pools that were used in signal handlers alone. */
	if (phase == PHASE_ARMED && pool_count() > 0 && !report.is_child &&
	        report_change(PHASE_ARMED, PHASE_ALONE))
		journal_start_clock();
	report_end();
}

void report_fork_prepare(void)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed);

	if (report.config != NULL && report.config->log[0] != '\0' && !sandbox_is_tight())
		user_fork_prepare(phase == PHASE_RUNNING || phase == PHASE_ASLEEP);
}

void report_fork_child(void)
{
	/* [all] relaxed: the child has one thread. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed);

	outside_view_fork_child(report.pid);
	if (sandbox_is_tight())
		report_set_out(PHASE_DONE);
	if (phase == PHASE_DONE && atomic_load_explicit(&report_shared.is_aside, memory_order_relaxed))
		phase = PHASE_ARMED;
	if (phase == PHASE_ALONE && report.why != NULL)
		report_set_out(phase = PHASE_DONE);
	if (phase == PHASE_NONE || phase == PHASE_DONE || sandbox_is_tight())
		return;
	warn_fork_child();
	atomic_store_explicit(&report_shared.bell, 0, memory_order_relaxed);
	atomic_store_explicit(&report_shared.step, 0, memory_order_relaxed);
	atomic_store_explicit(&report_shared.is_stopping, false, memory_order_relaxed);
	atomic_store_explicit(&report_shared.is_aside, false, memory_order_relaxed);
	report_set_out(phase == PHASE_LATENT ? PHASE_LATENT : PHASE_ARMED);
	know_first_thread();
	hear_of_first_thread();
	become_child(report.pid);
}

void report_wake(void)
{
	int saved = errno, phase;

	if (sandbox_is_tight())
		return;
	/*
	 * [phase] seq_cst: behind the change of the depot's word, which is as well; serve() sees that, or its
	 * sleep is seen here.
	 */
	phase = atomic_load_explicit(&report_shared.phase, memory_order_seq_cst);
	/* A child of vfork uses our memory, but a thread of its would be none of ours. */
	if (phase == PHASE_ARMED && report.pid == clock_pid() && !moment_is_handler() &&
	        report_change(PHASE_ARMED, PHASE_RUNNING))
		report_begin();
	else if (phase == PHASE_LATENT && pool_is_asked() && !moment_is_handler() &&
	         report_change(PHASE_LATENT, PHASE_RUNNING))
		report_begin();
	else if (phase == PHASE_ASLEEP && report_change(PHASE_ASLEEP, PHASE_RUNNING))
		bell_ring(&report_shared.bell);
	errno = saved;
}
