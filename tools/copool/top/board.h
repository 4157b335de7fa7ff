/* SPDX-License-Identifier: MIT */
/*
 * What `copool top` knows of each pool: the last counters, the last interval, and the intervals before. It is made
 * from the records of a log or a process, and its memory is bounded.
 */
#ifndef COPOOL_TOOLS_TOP_BOARD_H
#define COPOOL_TOOLS_TOP_BOARD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRACK_MAX = 1024, TRACK_PAST = 256, TRACK_NAME = 64 };

/* What a chart can show. */
enum track_measure { TRACK_CREATES, TRACK_HITS, TRACK_LIVE, TRACK_MEASURES };

struct track {
	json_int_t pid;
	uint64_t key; /* of the pool's whole name; the shown part may be equal for two pools */
	char program[TRACK_NAME];
	char pool[TRACK_NAME]; /* both without control characters */
	bool is_ended;
	double uptime; /* seconds */

	/* At the last record. */
	json_int_t creates, hits, made, live, pooled, peak, threads;

	/* Over the last interval: per second, and the share of hits, below 0 if nothing was created. */
	double creates_rate, made_rate, share;

	/* A ring of intervals, from the last one at `newest` to the oldest; and the uptime when each ended. */
	float past[TRACK_MEASURES][TRACK_PAST];
	double when[TRACK_PAST];
	size_t newest, pasts;
};

struct board {
	struct track track[TRACK_MAX];
	size_t count;
	struct {
		json_int_t pid;
		char name[TRACK_NAME];
		char served[TRACK_NAME];   /* "pool by ending" */
		char settings[TRACK_NAME]; /* "decay_ms 10000, max_batches 512" */
	} program[TRACK_MAX];              /* of `open` records; a new one replaces the oldest */
	size_t programs;                   /* ever seen */
	unsigned long long left_out;       /* pools without room */
	unsigned long long bad;            /* lines that were no records */
	unsigned long long records;        /* counters taken */
};

/* Takes a record of any type, which remains the caller's. */
void board_take(struct board *board, const json_t *record);

/* The process has ended, or cannot be seen any more. */
void board_end(struct board *board, json_int_t pid);

/* How a process is served, and its settings; "" if its `open` record has not been seen. */
const char *board_served(const struct board *board, json_int_t pid);
const char *board_settings(const struct board *board, json_int_t pid);

/* A share of hits in percent, rounded down, so that 100.00% means all; `-' if there is none. */
void track_share(char text[16], double share);

/* The value `ago` intervals before the last one; false if there is none. */
bool track_past(const struct track *track, enum track_measure measure, size_t ago, double *value);

/* How many seconds before the last one that interval ended. */
double track_ago(const struct track *track, size_t ago);

#endif
