/* SPDX-License-Identifier: MIT */
/*
 * What all runs of a program under `copool compare' share: where they write to, what they read, and the
 * signals that would end them. One at a time.
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
	char output[PATH_MAX];    /* what the last run said */
	int input;                /* a descriptor, the program's standard input */
	off_t input_start;        /* where it begins for every run; -1: cannot be set back */
	sigset_t signals;         /* SIGCHLD, and those that ask us to end: blocked until stage_end */
	sigset_t before;          /* what was blocked before */
	sighandler_t broken_pipe; /* what SIGPIPE did before */
	int stopped_by;           /* the signal that asked us to end; 0: none */
};

/* Makes the folder, takes over signals. 0; or -errno, and there is nothing to be ended. */
int stage_begin(struct stage *stage, const struct launch *launch);

/* Removes the folder, and lets signals come again. */
void stage_end(struct stage *stage);

#endif
