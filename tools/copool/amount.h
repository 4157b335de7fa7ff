/* SPDX-License-Identifier: MIT */
/* Numbers: sorted, and in words. */
#ifndef COPOOL_TOOLS_AMOUNT_H
#define COPOOL_TOOLS_AMOUNT_H

#include <stddef.h>

enum { AMOUNT_BYTES = 32 };

/* Sorts numbers, the least first. */
void amount_sort(double *number, size_t count);

/* A whole number with a comma before each three digits. Returns `text`, of AMOUNT_BYTES. */
char *amount_grouped(double number, char *text);

/* `part` of `all` in percent, rounded down, so never 100 % when something is missing; nor 0 % when something is there. */
char *amount_percent(double part, double all, char *text);

/* A share of 1 in percent, in three digits at most. */
char *amount_share(double share, char *text);

/* A span of time: "5 s", "2 min 5 s". */
char *amount_span(double ms, char *text);

#endif
