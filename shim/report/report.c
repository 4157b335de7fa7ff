/* SPDX-License-Identifier: MIT */
/*
 * When the statistics thread starts and ends. It sleeps on `bell`, a futex that any thread may ring without waiting.
 * The phases:
 *
 *	      report_start           a pool is used             nothing to trim
 *	NONE --------------> ARMED -------------------> RUNNING <---------------> ASLEEP
 *	                      ^ ^                        |   ^                      |
 *	                      | +--------- fork ---------+---|----------------------+
 *	                      |                          |   | report_come_back     |
 *	       fork           |     no thread to be had  |  DONE <------------------+ report_step_aside
 *	ALONE ----------------+ <------------------------+                            report_withdraw, report_stop
 *
 * A program that may load something to pool later stays in NONE until report_arrive(). If there is nothing for the
 * thread to do, LATENT takes the place of ARMED until a tool asks for a change (pool_is_asked). In ALONE there is
 * no thread, and the destructor writes what it can. The constructor writes the `open` record itself, so a program that
 * pools nothing needs no thread.
 *
 * statistics_thread.c has what the thread does, fork.c what a fork changes, and conduct.c what else the program does
 * that concerns the thread.
 */
#include "report/report.h"

#include "config.h"
#include "system/clock.h"
#include "system/sandbox.h"
#include "system/warn.h"
#include "pool/pool.h"
#include "pool/control.h"
#include "report/bell.h"
#include "report/journal.h"
#include "report/log.h"
#include "report/moment.h"
#include "report/outside_view.h"
#include "report/phase.h"
#include "report/quiet.h"
#include "report/thread/main_thread.h"
#include "report/thread/own_thread.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

struct report_shared report_shared;
struct report report;

void report_set_out(int phase)
{
	/* [phase] relaxed: no pool is used yet, there is only one thread, or the statistics thread ends. */
	atomic_store_explicit(&report_shared.phase, phase, memory_order_relaxed);
}

static bool wants_thread(const struct config *config)
{
	return report_wants_files(config) || config->decay_ms != 0;
}

static void know(const struct config *config, const struct report_service *service)
{
	report.config = config;
	report.pid = clock_pid();
	journal_know(config, service);
	outside_view_know(config, service, &report_shared.phase);
	log_know_standard();
}

bool report_change(int from, int to)
{
	/* [phase] relaxed: bell_ring() and pthread_create() publish the rest. */
	return atomic_compare_exchange_strong_explicit(
	        &report_shared.phase, &from, to, memory_order_relaxed, memory_order_relaxed);
}

/*
 * The first thread has called pthread_exit(), and others go on. The last thread ends the process and flushes its
 * files. That must not be ours, which has none of these files.
 */
static void leave(void *unused)
{
	(void)unused;
	report_withdraw(FIRST_HAS_ENDED);
}

void report_hear_of_first_thread(void)
{
	if (report.has_key || pthread_key_create(&report.first_thread, leave) == 0) {
		report.has_key = true;
		pthread_setspecific(report.first_thread, &report);
	}
}

void report_know_first_thread(void)
{
	main_thread_know();
	moment_know();
}

void report_start(const struct config *config, const struct report_service *service, bool at_once)
{
	know(config, service);
	report_know_first_thread();
	report_hear_of_first_thread();
	report.stack_bytes = own_thread_stack_bytes();
	journal_start_clock();
	/* Even if there is nothing to say: from now on the standard error gets no warnings. */
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

void report_inert(const struct config *config, const struct report_service *service)
{
	know(config, service);
	if (journal_is_told() || (config->log[0] == '\0' && warn_is_any() && service->has_failed))
		quietly(journal_announce);
}

void report_wait(const struct config *config, const struct report_service *service)
{
	report_inert(config, service);
	report_know_first_thread();
	journal_reset(0);
	report.stack_bytes = own_thread_stack_bytes();
	report.is_waiting = true;
}

bool report_may_arrive(void)
{
	/* [is_barred] relaxed: a word by itself. */
	return !sandbox_is_tight() && !atomic_load_explicit(&report_shared.is_barred, memory_order_relaxed);
}

void report_arrive(const struct report_service *service, pid_t parent)
{
	if (report.pid != clock_pid()) {
		warn_fork_child();
		outside_view_fork_child(parent != 0 ? parent : getppid());
		if (parent != 0)
			report_know_first_thread();
		else
			main_thread_forget();
		report_become_child(parent != 0 ? parent : getppid());
	}
	journal_know(report.config, service);
	outside_view_tell_service(service);
	/* Only the first thread can learn of its own pthread_exit(); for others there is main_thread_wait(). */
	if (gettid() == report.pid)
		report_hear_of_first_thread();
	if (report.why != NULL)
		report_set_out(report.is_child ? PHASE_DONE : PHASE_ALONE);
	else
		report_set_out(wants_thread(report.config) ? PHASE_ARMED : PHASE_LATENT);
}

bool report_end(void)
{
	bool is_done;
	/* [phase] relaxed: written by this thread, or by the thread that is asked to stop. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed);

	/* A child that was made without the fork handlers has no statistics thread. */
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
	/* If pools were used only in signal handlers, no thread was started. */
	if (phase == PHASE_ARMED && pool_count() > 0 && !report.is_child &&
	        report_change(PHASE_ARMED, PHASE_ALONE))
		journal_start_clock();
	report_end();
}

void report_wake(void)
{
	int saved = errno, phase;

	if (sandbox_is_tight())
		return;
	/*
	 * [phase] seq_cst: comes after the change of the depot's word, also seq_cst. Either serve() sees that change,
	 * or this load sees that it sleeps.
	 */
	phase = atomic_load_explicit(&report_shared.phase, memory_order_seq_cst);
	/* A vfork child uses this memory, but must not start our thread. */
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
