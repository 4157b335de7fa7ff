/* SPDX-License-Identifier: MIT */
/*
 * Whether memory is short, as the kernel says of the process's control group, or, where no group has a limit,
 * of the machine. One thread, which has a table of descriptors of its own: up to two of them stay open.
 */
#ifndef COPOOL_REPORT_PRESSURE_H
#define COPOOL_REPORT_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

struct pressure {
	int events_fd;   /* memory.events, or memory.failcnt of version 1; -1: none */
	int stalled_fd;  /* memory.pressure of the group, or the machine's; -1: none */
	uint64_t events; /* how often the group came to a limit, as last read, from the beginning of time */
	uint64_t stalled_us; /* how long tasks waited for memory, likewise */
	uint64_t looked_ms;  /* when that was */
	enum {
		MEMORY_UNKNOWN,
		MEMORY_FINE,
		MEMORY_SHORT
	} state; /* as pressure_relieve found it; UNKNOWN: since when is not known either */
};

/* Nothing is known, and nothing will be felt. */
#define PRESSURE_INIT                                                                                        \
	{                                                                                                    \
		.events_fd = -1, .stalled_fd = -1                                                            \
	}

/*
 * Opens what there is; nothing is no error. For the thread that has a table of its own, before the program's
 * root folder or rights change. `root` as in system/cgroup.h.
 */
void pressure_open(struct pressure *pressure, const char *root);

/*
 * Whether, since the last call, the group came to a limit of its memory, or tasks waited for memory for more
 * than a tenth of the time. Two reads; no file is opened.
 */
bool pressure_is_felt(struct pressure *pressure, uint64_t now_ms);

/*
 * Gives idle objects back where memory is short. That is only asked while there are any, so that an idle process makes no
 * call; what was before counts for nothing.
 */
void pressure_relieve(struct pressure *pressure);

#endif
