/* SPDX-License-Identifier: MIT */
/* The records `open`, `way`, `sample` and `final`. Each function begins one in `line`; the caller ends it. */
#ifndef COPOOL_REPORT_POOL_RECORDS_H
#define COPOOL_REPORT_POOL_RECORDS_H

#include <stdint.h>
#include <sys/types.h>

struct config;
struct line;
struct pool;
struct report_service;

/* The `open` record of this process. `parent` is its `ppid` (record.h). */
void pool_records_open(
        struct line *line, const struct config *config, const struct report_service *service, pid_t parent);

/* A `way` record: how the program is served now. */
void pool_records_way(struct line *line, const struct report_service *service);

/* Adds the pool's name, whose objects it has, and of which pool's objects they are parts. */
void pool_records_name(struct line *line, const struct pool *pool);

/* A `sample` or `final` record with the pool's counters as they are now. */
void pool_records_counters(struct line *line, const char *type, struct pool *pool, uint64_t uptime_ms);

#endif
