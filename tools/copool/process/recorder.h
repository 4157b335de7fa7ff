/* SPDX-License-Identifier: MIT */
/*
 * Sampling a running process from outside: records as its own log would have them, for as long as it runs or is
 * asked for. What only the process itself could say is missing: final counters, warnings, origins, depths.
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
	/* Takes a record, which stays the recorder's. 0; or -errno, which ends it. */
	int (*take)(void *context, json_t *record);
	void *context;

	unsigned long long samples; /* that were taken; of several pools at once, one */
	bool has_ended;             /* the process */
	struct remote remote;
};

/*
 * Samples until the time is over, the process has ended, or a signal asks us to end (see ending.h, which is the caller's
 * to watch). 0; 1 when it failed, with a message.
 */
int recorder_run(struct recorder *recorder);

/* An option's value, a time in seconds. False when it is none. */
bool recorder_seconds(const char *text, double *seconds);

#endif
