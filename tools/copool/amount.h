/* SPDX-License-Identifier: MIT */
/* Numbers: sorted, and as text. Those that write to `text`, of AMOUNT_BYTES, return it. */
#ifndef COPOOL_TOOLS_AMOUNT_H
#define COPOOL_TOOLS_AMOUNT_H

#include <stddef.h>

enum { AMOUNT_BYTES = 32 };

/* Sorts numbers, the least first. */
void amount_sort(double *number, size_t count);

/* A whole number with a comma before each three digits. */
char *amount_grouped(double number, char *text);

/* `part` of `all` in percent, rounded down: 100 % means all, and 0 % none. */
char *amount_percent(double part, double all, char *text);

/* A share of 1 in percent, in three digits at most. */
char *amount_share(double share, char *text);

/* A number of bytes: "28 KiB". */
char *amount_bytes(double bytes, char *text);

/* A span of time: "5 s", "2 min 5 s". */
char *amount_span(double ms, char *text);

#endif
