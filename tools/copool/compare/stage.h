/* SPDX-License-Identifier: MIT */
/*
 * What all runs of a program under `copool compare' share: where they write to, what they read, and the
 * signals that would end them. There is only one at a time.
 */
#ifndef COPOOL_TOOLS_COMPARE_STAGE_H
#define COPOOL_TOOLS_COMPARE_STAGE_H

#include <limits.h>
#include <signal.h>
#include <sys/types.h>

#include "run/launch.h"

struct stage {
	const struct launch *launch;
	char folder[PATH_MAX]; /* private; holds the next two */
	char log[PATH_MAX];
	char output[PATH_MAX];    /* of the last run */
	int input;                /* a descriptor, the program's standard input */
	off_t input_start;        /* where it begins for every run; -1: it cannot be rewound */
	sigset_t signals;         /* SIGCHLD, and those that ask copool to end: blocked until stage_end */
	sigset_t before;          /* what was blocked before */
	sighandler_t broken_pipe; /* what SIGPIPE did before */
	int stopped_by;           /* the signal that asked copool to end; 0: none */
	unsigned run, runs;       /* the current one, from 1 on, and how many there will be */
};

/* Makes the folder, and blocks the signals. Returns 0; or -errno, and stage_end must not be called. */
int stage_begin(struct stage *stage, const struct launch *launch);

/* Removes the folder, and unblocks the signals. */
void stage_end(struct stage *stage);

#endif
