/* SPDX-License-Identifier: MIT */
/* One line at the program's end, for who runs it by hand (COPOOL_SUMMARY). */
#ifndef COPOOL_REPORT_SUMMARY_H
#define COPOOL_REPORT_SUMMARY_H

struct config;
struct report_service;

/*
 * Says on the standard error what was pooled, or why nothing, if that is asked for. In the destructor, after
 * report_stop; or in the constructor, where nothing will be. */
void summary_say(const struct config *config, const struct report_service *service);

#endif
