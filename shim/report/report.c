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
 * What the thread does is in statistics_thread.c, what forks change in fork.c, what else the program does that concerns it in conduct.c.
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
	/* [phase] relaxed: nobody uses a pool yet, or there is one thread; or it ends. */
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
	/* Of pthread_exit() in the first thread others cannot hear; main_thread_wait() does. */
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
