/* SPDX-License-Identifier: MIT */
/*
 * The counters in Prometheus' text format, for the textfile collector of node_exporter: one file a process,
 * replaced as a whole at each interval, and removed at exit. One thread at a time.
 */
#ifndef COPOOL_REPORT_PROMETHEUS_H
#define COPOOL_REPORT_PROMETHEUS_H

#include <stdbool.h>

struct config;
struct report_service;

/*
 * Says where the file will be; `is_child`: the process is a fork's child, and has none unless the setting
 * names the process. Whether there will be one; warns if there should be and cannot.
 */
bool prometheus_begin(const struct config *config, const struct report_service *service, bool is_child);

/* Writes the file anew. What fails is warned of once. */
void prometheus_write(void);

/* How the program is served has changed; `host` must stay valid. */
void prometheus_tell_way(const struct report_service *service);

/* Removes the file that was written, if it is still there. */
void prometheus_end(void);

#endif
