/* SPDX-License-Identifier: MIT */
/* What the statistics thread does: it trims the pools and has the journal written. report.c has its phases. */
#include "report/phase.h"

#include "config.h"
#include "libc/elsewhere.h"
#include "system/warn.h"
#include "pool/upkeep.h"
#include "report/bell.h"
#include "report/journal.h"
#include "report/thread/main_thread.h"
#include "report/thread/own_thread.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum {
	CHILD_WAIT_MS = 20,
	CONFINED_WAIT_MS = 1000, /* the longest sleep while the bell may not be rung */
};

/* Does what is due until it is told to stop. */
static void serve(void)
{
	for (;;) {
		/* [bell] acquire: sees what was done before the ring; pairs with bell_ring. */
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
		/* [phase] relaxed: a thread that still sees ASLEEP rings once too often. */
		atomic_store_explicit(&report_shared.phase, PHASE_RUNNING, memory_order_relaxed);
	}
}

static void *run(void *unused)
{
	bool is_private = own_thread_leave_files(strcmp(report.config->log, "stdout") == 0);

	(void)unused;
	pthread_setname_np(pthread_self(), "copool");
	thread_end_know(&report.life);
	/* Most children live briefly. One that is killed in the middle of a line would spoil its parent's log. */
	if (report.is_child && !report.is_hurried)
		bell_wait(&report_shared.bell, 0, CHILD_WAIT_MS);
	journal_begin(is_private);
	report.pressure = (struct pressure)PRESSURE_INIT;
	/* The program's own table must have no descriptor of ours. */
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
	/* At the end it would be too late for a process that is killed. */
	if (report_wants_files(report.config))
		elsewhere_run(report_tell_now, NULL);
	report_set_out(PHASE_ALONE);
}
