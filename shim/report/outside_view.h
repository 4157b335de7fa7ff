/* SPDX-License-Identifier: MIT */
/*
 * The block that record.h describes: where tools outside of the process find the counters and the settings.
 * Written by the constructor, and in a fork's child; nothing in the process reads it.
 */
#ifndef COPOOL_REPORT_OUTSIDE_VIEW_H
#define COPOOL_REPORT_OUTSIDE_VIEW_H

#include <sys/types.h>

struct config;
struct report_service;

/* Makes it known; `thread` holds an enum record_thread. All of them must stay valid. May be called again. */
void outside_view_know(
        const struct config *config, const struct report_service *service, const _Atomic int *thread);

/* How the program is served has changed; or also by whom. */
void outside_view_tell_service(const struct report_service *service);
void outside_view_tell_way(const struct report_service *service);

/* In a fork's child: it begins now, and has that parent. */
void outside_view_fork_child(pid_t parent);

#endif
