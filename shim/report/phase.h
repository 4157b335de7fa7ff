/* SPDX-License-Identifier: MIT */
/*
 * The thread's state, for report.c, which has the picture of it, and conduct.c alone. `report_shared` is written as its
 * comments say; `report` belongs to the thread, or, while there is none, to the constructor, the destructor or the forking
 * thread.
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
	_Atomic int phase;     /* an enum phase; changed by who the picture above names */
	_Atomic uint32_t bell; /* rung by adding one */
	_Atomic uint32_t step; /* 1: the thread is ready, 2: it has ended; a futex as well */
	_Atomic bool is_stopping;
	_Atomic bool is_aside;    /* it stops for a moment only; of who has set it, the rest below */
	_Atomic bool is_confined; /* the bell may not be rung any more: the thread looks by itself */
	_Atomic bool is_barred;   /* what has not begun to be pooled shall not be */
};

extern struct report_shared report_shared;

struct report {
	const struct config *config; /* written by the constructor, as stack_bytes */
	size_t stack_bytes;          /* of the thread */
	pid_t pid;                   /* the process that all this is about */
	bool is_child;               /* of a fork that went on without exec */
	bool is_hurried;             /* it is about to lose the right to open files */
	const char *why;             /* the thread was never started; NULL: for want of one */
	pthread_key_t first_thread;  /* has a value in the thread that began the process */
	bool has_key;                /* the one above is there */
	bool is_waiting;             /* report_arrive() may be called, or has been */
	struct life life;            /* of the statistics thread, from its first step on */
	struct pressure pressure;    /* the thread's */
};

extern struct report report;

/* Where it is from now on: when there is no thread yet, or none any more. */
void report_set_out(int phase);

/* From one phase to another. Only the one thread that succeeds goes on. */
bool report_change(int from, int to);

/* What is opened by a path, which may soon lead elsewhere, or be forbidden. */
bool report_wants_files(const struct config *config);

/*
 * Starts the thread for who has made the phase RUNNING, or it is ALONE. Where there are files to open, waits until they
 * are, and the thread has its own table of descriptors: then nothing that the program does next to its own, its root
 * folder or its rights matters.
 */
void report_begin(void);

/* Stops the thread; whether it is done, and perhaps still on its way out. */
bool report_end(void);

/* In the thread that began the process: remembers it, and learns of its end. */
void report_know_first_thread(void);
void report_hear_of_first_thread(void);

/* The process is a fork's child, of that parent. */
void report_become_child(pid_t parent);

/* What is known by now, in a fork's child its `open` record first: nothing may follow, or only what gets lost. */
void report_tell_now(void *unused);

#endif
