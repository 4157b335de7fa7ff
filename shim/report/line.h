/* SPDX-License-Identifier: MIT */
/* One line of the log being written: a flat JSON object. Owned by the caller; no allocation, no locale. */
#ifndef COPOOL_REPORT_LINE_H
#define COPOOL_REPORT_LINE_H

#include "report/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct config;
struct pool;
struct report_host;

struct line {
	char text[RECORD_LINE_BYTES - 1]; /* without a closing zero */
	size_t used;
};

/* Begins a record with its type, the time now, and the process. */
void line_begin(struct line *line, const char *type);

/* Adds a pair. A text is escaped, made UTF-8 if it is not, and cut if the line would grow too long. */
void line_text(struct line *line, const char *key, const char *text);
void line_number(struct line *line, const char *key, uint64_t number);

/* Adds a list of texts, one at a time; false when the line has no room for this one: then it is not there. */
void line_list_begin(struct line *line, const char *key);
bool line_list_add(struct line *line, const char *text);
void line_list_end(struct line *line);

/* Begins the `open` record of this process; `parent`: see RECORD_OPEN's ppid. */
void line_open(struct line *line, const struct config *config, const struct report_host *host, pid_t parent);

/* Begins a `way` record: how the program is served now. */
void line_way(struct line *line, const struct report_host *host);

/* Begins a `sample` or `final` record with the pool's counters as they are now. */
void line_pool(struct line *line, const char *type, struct pool *pool, uint64_t uptime_ms);

/* Closes the object and ends the line. */
void line_end(struct line *line);

#endif
