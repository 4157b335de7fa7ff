/* SPDX-License-Identifier: MIT */
#include "process/permission.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first number, or letter, after `key` in /proc/PID/status. */
static int find_status(pid_t pid, const char *key, const char *format, void *value)
{
	char path[64], line[256];
	int found = 0;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (found != 1 && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0)
			found = sscanf(line + strlen(key), format, value);
	}
	fclose(file);
	return found == 1;
}

char permission_state(pid_t pid)
{
	char state = '?';

	find_status(pid, "State:", " %c", &state);
	return state;
}

bool permission_status(pid_t pid, const char *key, unsigned *value)
{
	return find_status(pid, key, "%u", value);
}

/* The value of kernel.yama.ptrace_scope; 0 if there is none. */
static int ptrace_scope(void)
{
	int scope = 0;
	FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");

	if (file != NULL) {
		if (fscanf(file, "%d", &scope) != 1)
			scope = 0;
		fclose(file);
	}
	return scope;
}

void permission_explain(pid_t pid, char *why, size_t bytes)
{
	static const char *const scopes[] = {"lets users look only into processes that they started",
	        "lets only CAP_SYS_PTRACE look into processes", "lets nobody look into a process"};
	unsigned user;
	int scope = ptrace_scope();

	if (find_status(pid, "Uid:", "%u", &user) && user != geteuid() && geteuid() != 0)
		snprintf(why, bytes,
		        "process %d may not be looked into: it belongs to user %u, and this is user %u; "
		        "become that user, or use CAP_SYS_PTRACE (root)",
		        pid, user, geteuid());
	else if (scope >= 1 && scope <= 3)
		snprintf(why, bytes,
		        "process %d may not be looked into: kernel.yama.ptrace_scope is %d, which %s; %s",
		        pid, scope, scopes[scope - 1],
		        scope == 3 ? "that can be changed only by a reboot"
		                   : "CAP_SYS_PTRACE (root) is needed");
	else
		snprintf(why, bytes,
		        "process %d may not be looked into: CAP_SYS_PTRACE is needed in its user namespace, "
		        "as it is privileged or undumpable; or a sandbox around this command forbids it",
		        pid);
}
