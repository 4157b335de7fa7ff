/* SPDX-License-Identifier: MIT */
/* What a fork changes: the child has no statistics thread, and may not be able to open the log (report/user.h). */
#include "report/report.h"

#include "config.h"
#include "system/clock.h"
#include "libc/elsewhere.h"
#include "system/sandbox.h"
#include "system/warn.h"
#include "report/journal.h"
#include "report/log.h"
#include "report/outside_view.h"
#include "report/phase.h"
#include "report/quiet.h"
#include "report/user.h"

void report_become_child(pid_t parent)
{
	journal_reset(parent);
	report.is_child = true;
	report.is_hurried = false;
	report.pid = clock_pid();
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

/* If a child has left word, and no statistics thread runs to write it, this thread does. */
void report_fork_parent(void)
{
	if (user_has_word() && report.pid == clock_pid() && !sandbox_is_tight() &&
	        report_change(PHASE_ARMED, PHASE_ALONE)) {
		elsewhere_run(take_word, NULL);
		report_change(PHASE_ALONE, PHASE_ARMED);
	}
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
	report_know_first_thread();
	report_hear_of_first_thread();
	report_become_child(report.pid);
}
