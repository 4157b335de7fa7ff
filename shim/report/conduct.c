/* SPDX-License-Identifier: MIT */
/*
 * What the program is about to do that concerns the statistics thread: run with one thread for a moment, confine
 * itself, give up rights. The hooks call these functions first, in the thread that calls them.
 */
#include "report/report.h"

#include "config.h"
#include "system/clock.h"
#include "libc/elsewhere.h"
#include "system/sandbox.h"
#include "system/warn.h"
#include "report/bell.h"
#include "report/moment.h"
#include "report/phase.h"
#include "report/user.h"

#include <errno.h>

/*
 * Whether there is a thread, or one to come, that is the caller's. A child of vfork gives up what it may do before it
 * calls exec, in its parent's memory. Otherwise no system call is made: a filter may be there already.
 */
static bool is_own(int phase)
{
	return phase != PHASE_NONE && phase != PHASE_DONE && phase != PHASE_ALONE &&
	       (sandbox_is_tight() || report.pid == clock_pid());
}

pid_t report_thread(void)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed);
	bool is_there = phase == PHASE_RUNNING || phase == PHASE_ASLEEP;

	return is_there && !sandbox_is_tight() && is_own(phase) ? (pid_t)report.life.number : 0;
}

bool report_step_aside(void)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed), saved = errno;
	bool is_gone = false;

	/* [is_aside] relaxed: published by the bell; one thread at a time. */
	if ((phase == PHASE_RUNNING || phase == PHASE_ASLEEP) &&
	        !atomic_exchange_explicit(&report_shared.is_aside, true, memory_order_relaxed)) {
		is_gone = report_end();
		if (is_gone)
			thread_end_await_exit(&report.life, STOP_WAIT_MS);
	}
	errno = saved;
	return is_gone;
}

void report_come_back(void)
{
	int saved = errno;

	/* [all] relaxed: pthread_create() publishes them to the new thread. */
	atomic_store_explicit(&report_shared.step, 0, memory_order_relaxed);
	atomic_store_explicit(&report_shared.is_stopping, false, memory_order_relaxed);
	atomic_store_explicit(&report_shared.is_aside, false, memory_order_relaxed);
	if (report_change(PHASE_DONE, PHASE_RUNNING))
		report_begin();
	errno = saved;
}

void report_confine(void)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed), saved = errno;

	if (!is_own(phase))
		return;
	/* [is_confined] relaxed: published by the bell. */
	atomic_store_explicit(&report_shared.is_confined, true, memory_order_relaxed);
	if (phase == PHASE_RUNNING || phase == PHASE_ASLEEP)
		bell_ring(&report_shared.bell);
	errno = saved;
}

void report_expect_filter(void)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed), saved = errno;
	bool is_ours = is_own(phase);

	/* The filter binds our thread, too: neither it nor the destructor may risk a call that is forbidden then. */
	if (is_ours && report_change(PHASE_ARMED, PHASE_DONE)) {
		warn_later("the program confined itself before it pooled anything: " NO_MORE);
		if (report_wants_files(report.config))
			elsewhere_run(report_tell_now, NULL);
	} else if (!(is_ours && report_change(PHASE_LATENT, PHASE_DONE)) && report.is_waiting) {
		/* [is_barred] relaxed: a word by itself. */
		atomic_store_explicit(&report_shared.is_barred, true, memory_order_relaxed);
	}
	errno = saved;
}

void report_withdraw(const char *why)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed), saved = errno;
	bool is_ours = is_own(phase);

	if (is_ours && (phase == PHASE_RUNNING || phase == PHASE_ASLEEP)) {
		warn_later("%s: " NO_MORE, why);
		/* libc must know that it is gone: the last thread that libc knows ends the process and flushes its files. */
		if (report_end())
			thread_end_await(&report.life, STOP_WAIT_MS);
	} else if (is_ours && report_change(PHASE_ARMED, report.is_child ? PHASE_DONE : PHASE_ALONE)) {
		report.why = why;
		if (report.is_child && report.config->log[0] != '\0') {
			warn_later("%s: " NO_MORE, why);
			elsewhere_run(report_tell_now, NULL);
		}
	} else if (!(is_ours && report_change(PHASE_LATENT, PHASE_DONE)) && report.is_waiting) {
		report.why = why;
	}
	errno = saved;
}

void report_leave_root(uid_t user)
{
	/* [phase] relaxed: as in report_end. */
	int phase = atomic_load_explicit(&report_shared.phase, memory_order_relaxed), saved = errno;

	if (phase == PHASE_ARMED && report.config->log[0] != '\0' && report.pid == clock_pid() &&
	        !sandbox_is_tight() && user_leaves_root(user) && (!report.is_child || user_was_alone()) &&
	        !moment_is_handler() && report_change(PHASE_ARMED, PHASE_RUNNING)) {
		report.is_hurried = true;
		report_begin();
	}
	errno = saved;
}
