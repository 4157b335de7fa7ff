/* SPDX-License-Identifier: MIT */
/* What the kernel counts of this process. */
#ifndef COPOOL_TESTS_STATUS_H
#define COPOOL_TESTS_STATUS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of /proc/self/status, in KiB; -1: there is none. */
static inline long status_kib(const char *name)
{
	FILE *status = fopen("/proc/self/status", "r");
	size_t length = strlen(name);
	char line[256];
	long kib = -1;

	while (status != NULL && fgets(line, sizeof line, status) != NULL) {
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			kib = strtol(line + length + 1, NULL, 10);
	}
	if (status != NULL)
		fclose(status);
	return kib;
}

#endif
