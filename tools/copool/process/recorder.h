/* SPDX-License-Identifier: MIT */
/*
 * Samples a running process from outside: makes records as its own log would have them, until it ends or the time is
 * over. What only the process itself knows is missing: final counters, warnings, origins, depths.
 */
#ifndef COPOOL_TOOLS_PROCESS_RECORDER_H
#define COPOOL_TOOLS_PROCESS_RECORDER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "process/remote.h"

enum { RECORDER_INTERVAL_MS = 1000, RECORDER_FOR_S = 10 };

struct recorder {
	const char *verb; /* for messages */
	pid_t pid;
	double seconds;       /* 0: until the process ends */
	unsigned interval_ms; /* 10 to 3600000 */
	/* Takes a record, which remains the recorder's. Returns 0; or -errno, which ends the sampling. */
	int (*take)(void *context, json_t *record);
	void *context;

	unsigned long long samples; /* that were taken; one for all pools at a time */
	bool has_ended;             /* the process */
	struct remote remote;
};

/*
 * Samples until the time is over, the process has ended, or a signal asks copool to end; the caller must have called
 * ending_watch(). Returns 0, or 1 after a message.
 */
int recorder_run(struct recorder *recorder);

/* An option's value, a time in seconds. False when it is none. */
bool recorder_seconds(const char *text, double *seconds);

#endif
