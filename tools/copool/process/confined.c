/* SPDX-License-Identifier: MIT */
/* As shim/report/confinement.c, from outside; MDWE cannot be seen from there. */
#include "process/confined.h"

#include "process/permission.h"

#include <stdio.h>
#include <string.h>

/* Reads the security module's label. */
static void read_label(pid_t pid, char *label, int bytes)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/attr/current", pid);
	FILE *file = fopen(path, "re");
	label[0] = '\0';
	if (file == NULL)
		return;
	if (fgets(label, bytes, file) == NULL)
		label[0] = '\0';
	fclose(file);
	label[strcspn(label, "\n")] = '\0';
}

void confined_by(pid_t pid, char text[CONFINED_BYTES])
{
	char label[160];
	unsigned filter = 0, no_more = 0;

	read_label(pid, label, sizeof label);
	permission_status(pid, "Seccomp:", &filter);
	permission_status(pid, "NoNewPrivs:", &no_more);
	if (strcmp(label, "unconfined") == 0)
		label[0] = '\0';
	const char *module = !*label                           ? ""
	                     : label[strlen(label) - 1] == ')' ? "AppArmor profile "
	                                                       : "SELinux context ";
	const char *parts[] = {
	        *label ? label : NULL, filter ? "a seccomp filter" : NULL, no_more ? "NoNewPrivs" : NULL};
	size_t used = (size_t)snprintf(text, CONFINED_BYTES, "%s", module);
	const char *before = "";
	for (size_t i = 0; i < sizeof parts / sizeof *parts && used < CONFINED_BYTES; i++) {
		if (parts[i] == NULL)
			continue;
		used += (size_t)snprintf(text + used, CONFINED_BYTES - used, "%s%s", before, parts[i]);
		before = ", ";
	}
}
