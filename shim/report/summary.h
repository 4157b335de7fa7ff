/* SPDX-License-Identifier: MIT */
/* COPOOL_SUMMARY: one line when the program ends, or at its start if nothing will be pooled. */
#ifndef COPOOL_REPORT_SUMMARY_H
#define COPOOL_REPORT_SUMMARY_H

struct config;
struct report_service;

/*
 * If the setting asks for it, writes to the standard error what was pooled, or why nothing was. Without the setting it
 * still says so if a settings file switches off a program that `copool run` has started without a log. The destructor
 * calls this after report_stop; the constructor does if nothing will be pooled.
 */
void summary_say(const struct config *config, const struct report_service *service);

#endif
