/* SPDX-License-Identifier: MIT */
/*
 * Counts how often functions of a running process are entered, from outside: the kernel's uprobes, counted by
 * perf_event_open(2). Nothing is injected into the process, and nothing stays: the kernel takes the probes away when the
 * descriptors are closed, also when this process is killed. While a probe is there, each entry costs the process a trap
 * (see probes_cost_ns).
 */
#ifndef COPOOL_TOOLS_PROCESS_PROBES_H
#define COPOOL_TOOLS_PROCESS_PROBES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/places.h"

enum { PROBES_WHY = 512 };

struct probed_thread;

struct probes {
	pid_t pid;
	int type; /* of event */
	const struct place *place;
	size_t places, threads;
	struct probed_thread *thread; /* those that there are */
	uint64_t *ended;              /* for each place: entries by threads that have ended since */
	uint64_t *before;             /* for each place: what had been counted when all probes were set */
	uint64_t listed_ms;           /* when the threads were listed last */
	char why[PROBES_WHY];
};

/*
 * Sets a probe at each of `place`, all of which are found, for each thread of the process; the array stays the caller's,
 * and must stay. 0; or -errno, with a sentence in `why` that says what is missing, and nothing to close.
 */
int probes_open(struct probes *probes, pid_t pid, const struct place *place, size_t places);

/*
 * Writes how often each place was entered since probes_open, by all threads. Those that have started since are looked for
 * every 50 ms; what one does before it is found is not counted. 0, or -errno.
 */
int probes_read(struct probes *probes, uint64_t *entries);

void probes_close(struct probes *probes);

/*
 * What a probe there costs whoever enters the function, in ns of CPU time: measured on a function of this process that
 * begins alike. 0: it could not be.
 */
double probes_cost_ns(const struct place *place);

#endif
