/* SPDX-License-Identifier: MIT */
/*
 * All processes of this machine that have libcopool.so loaded, examined one after the other, with sums for each
 * program. A process that cannot be read, or lies, costs its own line and a moment.
 */
#ifndef COPOOL_TOOLS_TOP_FLEET_H
#define COPOOL_TOOLS_TOP_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FLEET_NAME = 128, FLEET_WORD = 16, FLEET_WRONG = 128, FLEET_PROCESSES = 1 << 16 };

/* Of one process, or of all of a program. */
struct fleet_counts {
	uint64_t creates, made; /* so far; hits are the rest */
	uint64_t live, pooled, peak, idle_bytes;
	bool is_idle_guessed;           /* idle_bytes, or a part of them: see remote.h */
	double creates_rate, made_rate; /* a second: since the look before, or else since the process began */
	uint64_t new_creates, new_made; /* in that time */
};

struct fleet_process {
	pid_t pid;
	uint64_t start_ms; /* tells it from another process of that number */
	uint64_t uptime_ms;
	char program[FLEET_NAME],
	        label[FLEET_NAME]; /* without what could steer a terminal; label: "" for none */
	char host[FLEET_WORD], mode[FLEET_WORD], way[FLEET_WORD];
	struct fleet_counts counts;
	char wrong[FLEET_WRONG];    /* "" when nothing is */
	char confined[FLEET_WRONG]; /* as in `open`; "": by nothing */
	bool is_idle;               /* it has nothing to pool */
};

struct fleet {
	struct fleet_process *process; /* by program, label and process id */
	size_t count, room;
	unsigned idle;       /* of these, with nothing to pool */
	unsigned unreadable; /* processes that we may not look into */
	unsigned silent;     /* processes that did not let themselves be read in time */
	bool is_cut;         /* there are more than FLEET_PROCESSES */
};

/*
 * Looks at all processes. What was known of them before is what rates are since; `fleet` is all zero at first. 0; or
 * -errno: -ENOMEM, what opening /proc said, or -EINTR (see peek_interrupt).
 */
int fleet_look(struct fleet *fleet);

void fleet_close(struct fleet *fleet);

/*
 * The processes of one program and label that begin with number `first`: how many, and their sum. `mode` (FLEET_WORD
 * bytes) is theirs, or "mixed".
 */
size_t fleet_group(const struct fleet *fleet, size_t first, struct fleet_counts *sum, char *mode);

/* "12.00%", rounded down, or "-" when nothing was created. */
void fleet_share(char text[16], const struct fleet_counts *counts);

/* "512B", "8.0K", "1.2G"; guesses begin with `~'. */
void fleet_bytes(char text[16], const struct fleet_counts *counts);

#endif
