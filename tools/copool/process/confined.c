/* SPDX-License-Identifier: MIT */
/* As shim/report/confinement.c, from outside. */
#include "process/confined.h"

#include "process/permission.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* Reads a security module's label, "" if there is none. */
static void read_label(pid_t pid, const char *name, char label[CONFINED_LABEL])
{
	char path[64];

	if (pid != 0)
		snprintf(path, sizeof path, "/proc/%d/attr/%s", pid, name);
	else
		snprintf(path, sizeof path, "/proc/self/attr/%s", name);
	FILE *file = fopen(path, "re");
	label[0] = '\0';
	if (file == NULL)
		return;
	if (fgets(label, CONFINED_LABEL, file) == NULL)
		label[0] = '\0';
	fclose(file);
	label[strcspn(label, "\n")] = '\0';
}

/* As in shim/report/confinement.c. */
static bool is_unconfined(const char *label)
{
	static const char mode[] = "(unconfined)";
	size_t bytes = strlen(label), end = sizeof mode - 1;

	return bytes == 0 || strcmp(label, "unconfined") == 0 ||
	       (bytes >= end && strcmp(label + bytes - end, mode) == 0);
}

static int status_of(pid_t pid, const char *key)
{
	unsigned value = 0;

	return permission_status(pid, key, &value) ? (int)value : -1;
}

void confined_read(pid_t pid, struct confined *confined)
{
	char label[CONFINED_LABEL];

	*confined = (struct confined){.seccomp = -1, .no_new_privs = -1};
	/* Where there are several modules, this file is one's. */
	read_label(pid, "current", label);
	bool is_profile = is_unconfined(label) || label[strlen(label) - 1] == ')';
	if (is_profile)
		strcpy(confined->apparmor, label);
	else if (strchr(label, ':') != NULL)
		strcpy(confined->selinux, label);
	if (!is_profile || *label == '\0')
		read_label(pid, "apparmor/current", confined->apparmor);
	confined->is_profiled = !is_unconfined(confined->apparmor);
	confined->seccomp = pid != 0 ? status_of(pid, "Seccomp:") : prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	confined->no_new_privs =
	        pid != 0 ? status_of(pid, "NoNewPrivs:") : prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

void confined_by(pid_t pid, char text[CONFINED_BYTES])
{
	struct confined confined;
	size_t used = 0;

	confined_read(pid, &confined);
	const struct {
		bool is_so;
		const char *kind, *name;
	} parts[] = {
	        {confined.is_profiled, "AppArmor profile ", confined.apparmor},
	        {*confined.selinux != '\0', "SELinux context ", confined.selinux},
	        {confined.seccomp > 0, "a seccomp filter", ""},
	        {confined.no_new_privs > 0, "NoNewPrivs", ""},
	};
	text[0] = '\0';
	for (size_t i = 0; i < sizeof parts / sizeof *parts && used < CONFINED_BYTES; i++) {
		if (parts[i].is_so)
			used += (size_t)snprintf(text + used, CONFINED_BYTES - used, "%s%s%s",
			        used > 0 ? ", " : "", parts[i].kind, parts[i].name);
	}
}
