/* SPDX-License-Identifier: MIT */
/*
 * The block of record_block.h: it tells tools in other processes where to find the counters and the settings. The
 * constructor and a fork's child write it; nothing in the process reads it.
 */
#ifndef COPOOL_REPORT_OUTSIDE_VIEW_H
#define COPOOL_REPORT_OUTSIDE_VIEW_H

#include <sys/types.h>

struct config;
struct report_service;

/* Fills in the block. `thread` points to an enum record_thread. All arguments must stay valid. May be called again. */
void outside_view_know(
        const struct config *config, const struct report_service *service, const _Atomic int *thread);

/* How the program is served has changed. */
void outside_view_tell_service(const struct report_service *service);

/* In a fork's child of `parent`: its uptime begins now. */
void outside_view_fork_child(pid_t parent);

#endif
