/* SPDX-License-Identifier: MIT */
/*
 * The counters of each pool over time, from the records that a book reads. Their memory is bounded: a full series is
 * thinned, every two points becoming one; if all series together have too many, each may have half as many as before.
 * A point keeps the highest and the lowest of its samples, so that peaks survive.
 */
#ifndef COPOOL_TOOLS_LOG_SERIES_H
#define COPOOL_TOOLS_LOG_SERIES_H

#include <stdint.h>

#include "log/book.h"
#include "report/record.h"

enum {
	SERIES_POINTS = 1024,         /* of one pool */
	SERIES_FEWEST = 8,            /* that one pool may keep, however many pools there are */
	SERIES_ALL_POINTS = 128 << 10 /* of all pools */
};

struct series_counters {
#define SERIES_COUNTER(name, kind, help) int64_t name;
	RECORD_COUNTERS(SERIES_COUNTER)
#undef SERIES_COUNTER
};

/* One or more samples that follow each other. */
struct series_point {
	int64_t uptime_ms; /* of the last of them, like all that follows unless it says otherwise */
	double time;       /* seconds since 1970 */
	unsigned samples;
	struct series_counters last;
	int64_t live_least, live_most;
	int64_t pooled_least, pooled_most;
	double creates_most; /* a second, in one of them */
	double new_most;
};

struct series {
	size_t process, pool; /* in the book */
	int64_t begin_ms; /* uptime at which the counters were all 0, or the first record's where unknown */
	bool from_zero;   /* known: else what the first point counts happened before begin_ms */
	struct series_point *point;
	size_t points, room;
	unsigned stride;             /* samples a point */
	int64_t samples;             /* in all */
	unsigned long long disorder; /* records earlier than the one before, which are not used */
};

struct series_set {
	struct series **of[BOOK_PROCESSES]; /* by process, then by pool; NULL where there is none */
	int64_t tick_ms[BOOK_PROCESSES]
	               [2];          /* uptime of the last records of each process, and of those before */
	size_t all_points;           /* room for points, together */
	size_t limit;                /* points of one pool */
	unsigned long long left_out; /* records without room */
};

/* Makes an empty set and has `book` fill it as it reads. 0, or -ENOMEM. */
int series_open(struct series_set **set, struct book *book);
void series_close(struct series_set *set);

/* NULL if the pool had no record, or no room. */
const struct series *series_of(const struct series_set *set, size_t process, size_t pool);

#endif
