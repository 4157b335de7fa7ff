/* SPDX-License-Identifier: MIT */
/* What confines a process, as /proc tells; MDWE cannot be seen from outside. */
#ifndef COPOOL_TOOLS_PROCESS_CONFINED_H
#define COPOOL_TOOLS_PROCESS_CONFINED_H

#include <stdbool.h>
#include <sys/types.h>

enum { CONFINED_BYTES = 256, CONFINED_LABEL = 160 };

struct confined {
	/* AppArmor's profile with its mode, or "unconfined"; "": there is no AppArmor, or it may not be read. */
	char apparmor[CONFINED_LABEL];
	bool is_profiled;             /* the profile restricts something */
	char selinux[CONFINED_LABEL]; /* the context; "" likewise */
	int seccomp, no_new_privs;    /* the numbers in /proc/PID/status; -1: not known */
};

/* Reads what confines a process; 0 is this process. */
void confined_read(pid_t pid, struct confined *confined);

/* The same in the words of the log's `open`; "": nothing, or it may not be read. */
void confined_by(pid_t pid, char text[CONFINED_BYTES]);

#endif
