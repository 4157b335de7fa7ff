/* SPDX-License-Identifier: MIT */
/* COPOOL_SUMMARY: one line when the program ends. */
#ifndef COPOOL_REPORT_SUMMARY_H
#define COPOOL_REPORT_SUMMARY_H

struct config;
struct report_service;

/*
 * If the setting asks for it, writes to the standard error what was pooled, or why nothing was. The destructor calls
 * this after report_stop; the constructor does if nothing will be pooled.
 */
void summary_say(const struct config *config, const struct report_service *service);

#endif
