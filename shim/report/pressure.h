/* SPDX-License-Identifier: MIT */
/*
 * Whether memory is short: in the process's control group, or, if no group has a limit, on the machine. For one thread
 * that has a descriptor table of its own: up to two descriptors stay open.
 */
#ifndef COPOOL_REPORT_PRESSURE_H
#define COPOOL_REPORT_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

struct pressure {
	int events_fd;       /* memory.events, or memory.failcnt of version 1; -1: none */
	int stalled_fd;      /* memory.pressure of the group, or the machine's; -1: none */
	uint64_t events;     /* how often the group reached a limit, as last read */
	uint64_t stalled_us; /* how long tasks waited for memory, as last read */
	uint64_t looked_ms;  /* when they were last read */
	enum { MEMORY_UNKNOWN, MEMORY_FINE, MEMORY_SHORT } state; /* as pressure_relieve last found it */
};

/* Nothing is open, so pressure is never felt. */
#define PRESSURE_INIT                                                                                        \
	{                                                                                                    \
		.events_fd = -1, .stalled_fd = -1                                                            \
	}

/*
 * Opens the files that exist; it is no error if none do. The caller must have a descriptor table of its own, and should
 * call before the program changes its root folder or its rights. `root` is as in system/cgroup.h.
 */
void pressure_open(struct pressure *pressure, const char *root);

/*
 * Whether, since the last call, the group reached a limit, or tasks waited for memory for more than a tenth of the
 * time. Reads two files and opens none.
 */
bool pressure_is_felt(struct pressure *pressure, uint64_t now_ms);

/*
 * Gives idle objects back if memory is short. Looks only while there are idle objects, so that an idle process makes no
 * system calls; what happened before the first look does not count.
 */
void pressure_relieve(struct pressure *pressure);

#endif
