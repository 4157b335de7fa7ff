/* SPDX-License-Identifier: MIT */
#ifndef COPOOL_TOOLS_PROCESS_PERMISSION_H
#define COPOOL_TOOLS_PROCESS_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes a clause that names the process, and the permission that is missing to look into it. */
void permission_explain(pid_t pid, char *why, size_t bytes);

/* The process's state, as in ps(1); '?': not known. */
char permission_state(pid_t pid);

/* Reads a number in /proc/PID/status. Returns false if there is no such line; then `value` stays as it is. */
bool permission_status(pid_t pid, const char *key, unsigned *value);

#endif
