/* SPDX-License-Identifier: MIT */
/* One process a contender: it reads orders and writes answers, so that main.c can give all of them their
 * turn. */
#ifndef COPOOL_BENCH_WORKER_H
#define COPOOL_BENCH_WORKER_H

#include "slice.h"

#include <sys/types.h>

/* NULL: there is none of that name. */
const struct contender *worker_find(const char *name);
extern const char *const pattern_names[PATTERNS];
int worker_find_pattern(const char *name); /* -1: there is none */

/* The body of such a process; returns its exit status. Writes one byte first: whether the contender exists. */
int worker_main(const struct contender *contender);

/* The other end. */
struct worker_process {
	pid_t pid;
	int orders, answers;
};

/*
 * Starts `program` worker `name` with `preload` (NULL: nothing) preloaded. 0, or -errno: the contender cannot
 * be had.
 */
int worker_begin(struct worker_process *process, const char *program, const char *name, const char *preload);
bool worker_ask(struct worker_process *process, const struct order *order, struct answer *answer);
void worker_end(struct worker_process *process);

#endif
