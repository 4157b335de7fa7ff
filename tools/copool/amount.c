/* SPDX-License-Identifier: MIT */
#include "amount.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int by_size(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

void amount_sort(double *number, size_t count)
{
	qsort(number, count, sizeof *number, by_size);
}

char *amount_grouped(double number, char *text)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%.0f", number < 0 ? 0 : number);
	char *to = text;

	if (length >= (int)sizeof digits)
		length = sizeof digits - 1;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return text;
}

char *amount_percent(double part, double all, char *text)
{
	double share = all > 0 ? floor(part / all * 10000 + 1e-6) / 100 : 0;

	if (part > 0 && share <= 0)
		snprintf(text, AMOUNT_BYTES, "< 0.01 %%");
	else
		snprintf(text, AMOUNT_BYTES, share > 0 && share < 100 ? "%.2f %%" : "%.0f %%", share);
	return text;
}

char *amount_share(double share, char *text)
{
	if (share > 0 && share < 0.00001)
		snprintf(text, AMOUNT_BYTES, "less than 0.001 %%");
	else
		snprintf(text, AMOUNT_BYTES, "%.3g %%", share * 100);
	return text;
}

char *amount_bytes(double bytes, char *text)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
	double size = floor(bytes);
	size_t unit = 0;

	for (; size >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
		size /= 1024;
	snprintf(text, AMOUNT_BYTES, size == floor(size) || size >= 100 ? "%.0f %s" : "%.1f %s", size,
	        units[unit]);
	return text;
}

char *amount_span(double ms, char *text)
{
	static const struct {
		double ms;
		const char *name, *next;
		double next_ms;
	} units[] = {{86400000, "d", "h", 3600000}, {3600000, "h", "min", 60000}, {60000, "min", "s", 1000}};

	for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (ms < units[i].ms)
			continue;
		unsigned whole = (unsigned)(ms / units[i].ms) % 1000000;
		unsigned rest = (unsigned)((ms - (double)whole * units[i].ms) / units[i].next_ms) % 100;
		if (rest > 0)
			snprintf(
			        text, AMOUNT_BYTES, "%u %s %u %s", whole, units[i].name, rest, units[i].next);
		else
			snprintf(text, AMOUNT_BYTES, "%u %s", whole, units[i].name);
		return text;
	}
	snprintf(text, AMOUNT_BYTES, ms < 10000 ? "%.3g s" : "%.0f s", ms / 1000);
	return text;
}
