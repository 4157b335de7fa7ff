/* SPDX-License-Identifier: MIT */
/*
 * The counters in Prometheus' text format, for node_exporter's textfile collector. Each process has a file, which is
 * replaced as a whole at each interval and removed at exit. One thread at a time.
 */
#ifndef COPOOL_REPORT_PROMETHEUS_H
#define COPOOL_REPORT_PROMETHEUS_H

#include <stdbool.h>

struct config;
struct report_service;

/*
 * Prepares the file. Returns whether there will be one; warns if it is wanted but cannot be written. A fork's child
 * (`is_child`) has one only if the setting names the process.
 */
bool prometheus_begin(const struct config *config, const struct report_service *service, bool is_child);

/* Replaces the file. Warns once if that fails. */
void prometheus_write(void);

/* How the program is served has changed; `service` must stay valid. */
void prometheus_tell_way(const struct report_service *service);

/* Removes the file, if this process has written it. */
void prometheus_end(void);

#endif
