/* SPDX-License-Identifier: MIT */
/*
 * The state of the statistics thread, for report.c, statistics_thread.c, fork.c and conduct.c only. report.c has a
 * picture of the phases. `report_shared` is written as its comments say. `report` belongs to the statistics thread;
 * while there is none, to the constructor, the destructor or the thread that forks.
 */
#ifndef COPOOL_REPORT_PHASE_H
#define COPOOL_REPORT_PHASE_H

#include "report/thread/thread_end.h"
#include "report/pressure.h"
#include "report/record_block.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct config;

enum { START_WAIT_MS = 1000, STOP_WAIT_MS = 2000 };

#define FIRST_HAS_ENDED "the program's first thread has ended"
#define NO_MORE         "no more statistics, and no idle object is given back"

enum phase {
	PHASE_NONE = RECORD_THREAD_NONE,
	PHASE_ALONE = RECORD_THREAD_FAILED,
	PHASE_ARMED = RECORD_THREAD_AT_USE,
	PHASE_RUNNING = RECORD_THREAD_RUNS,
	PHASE_ASLEEP = RECORD_THREAD_SLEEPS,
	PHASE_DONE = RECORD_THREAD_ENDED,
	PHASE_LATENT = RECORD_THREAD_AT_NEED,
};

struct report_shared {
	_Atomic int phase;     /* an enum phase; the picture in report.c says which function changes it */
	_Atomic uint32_t bell; /* rung by adding one */
	_Atomic uint32_t step; /* 1: the thread is ready, 2: it has ended; also a futex */
	_Atomic bool is_stopping;
	_Atomic bool is_aside;    /* it stops only for report_step_aside() */
	_Atomic bool is_confined; /* the bell may no longer be rung, so the thread wakes by itself */
	_Atomic bool is_barred;   /* nothing may be attached any more */
};

extern struct report_shared report_shared;

struct report {
	const struct config *config; /* the constructor writes this and stack_bytes */
	size_t stack_bytes;          /* of the thread */
	pid_t pid;                   /* the process that this state is about */
	bool is_child;               /* the process is a fork's child */
	bool is_hurried;             /* the process is about to lose the right to open files */
	const char *why;             /* why the thread may not start; NULL: it may, or could not be made */
	pthread_key_t first_thread;  /* tells of the first thread's pthread_exit() */
	bool has_key;                /* first_thread was created */
	bool is_waiting;             /* report_wait() was called */
	struct life life;            /* of the statistics thread */
	struct pressure pressure;    /* only the thread uses it */
};

extern struct report report;

/* Sets the phase. The caller must know that there is no statistics thread, or be it. */
void report_set_out(int phase);

/* Moves from one phase to another. Returns whether it did; only one of several threads succeeds. */
bool report_change(int from, int to);

/* Whether a log or Prometheus' file is wanted. */
bool report_wants_files(const struct config *config);

/*
 * Starts the thread; the caller must have made the phase RUNNING. On failure the phase is ALONE. If files are wanted,
 * waits until they are open and the thread has its own descriptor table. Then it does not matter what the program does
 * next to its descriptors, its root folder or its rights.
 */
void report_begin(void);

/* Stops the thread. Returns whether it has written everything; it may still be about to exit. */
bool report_end(void);

/* In the process's first thread: the first remembers it, the second arranges that its pthread_exit() is noticed. */
void report_know_first_thread(void);
void report_hear_of_first_thread(void);

/* From now on the process is a fork's child of `parent`. */
void report_become_child(pid_t parent);

/* Writes the warnings so far, in a fork's child after its `open` record: there may be no later chance. */
void report_tell_now(void *unused);

#endif
