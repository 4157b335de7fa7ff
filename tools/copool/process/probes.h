/* SPDX-License-Identifier: MIT */
/*
 * Counts from outside how often functions of a running process are entered: by the kernel's uprobes and
 * perf_event_open(2). Nothing is injected into the process, and nothing remains: the kernel removes the probes when
 * the descriptors are closed, even if this process is killed. While a probe is set, each entry costs the process a
 * trap (see probes_cost_ns).
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
	struct probed_thread *thread; /* the current ones */
	uint64_t *ended;              /* for each place: entries by threads that have ended */
	uint64_t *before;             /* for each place: the count when all probes were set */
	uint64_t listed_ms;           /* when the threads were listed last */
	char why[PROBES_WHY];
};

/*
 * Sets a probe at each of `place`, all of which must have been found, for each thread of the process. The array
 * remains the caller's, and must outlive the probes. Returns 0; or -errno, with a sentence in `why` and nothing to
 * close.
 */
int probes_open(struct probes *probes, pid_t pid, const struct place *place, size_t places);

/*
 * Writes how often all threads entered each place since probes_open. New threads are looked for every 50 ms; what one
 * does before it is found is not counted. Returns 0, or -errno.
 */
int probes_read(struct probes *probes, uint64_t *entries);

void probes_close(struct probes *probes);

/*
 * What an entry of the probed function costs, in ns of CPU time, as measured on a function of this process that
 * begins with the same kind of instruction. 0: not known.
 */
double probes_cost_ns(const struct place *place);

#endif
