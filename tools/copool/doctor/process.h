/* SPDX-License-Identifier: MIT */
/* What /proc says of a running process, and what the library in it says. */
#ifndef COPOOL_TOOLS_DOCTOR_PROCESS_H
#define COPOOL_TOOLS_DOCTOR_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "doctor/program.h"
#include "doctor/sheet.h"
#include "doctor/writable.h"

enum { PROCESS_ROOT = 32 };

struct process {
	pid_t pid;
	struct writer writer;    /* the user and the groups that it runs as */
	char root[PROCESS_ROOT]; /* /proc/PID/root if its files are not ours, else "" */
	char folder[PATH_MAX];   /* its working folder; "": not known */
	char log[PATH_MAX];      /* the log that its settings name; "": none, or not known */
	bool is_loaded;          /* the library is in it */
};

/* Fills in the process and its program, as far as they may be read. Returns whether there is such a process. */
bool process_find(struct sheet *sheet, struct process *process, struct program *program, pid_t pid);

/* Its confinement and memory maps. */
void process_examine(struct sheet *sheet, struct process *process);

/* The library in it, whether it is there, what it does, or why it is not there; and its settings. */
void process_library(struct sheet *sheet, struct process *process);

/* Coroutines in files that the process has loaded. */
void process_known(struct sheet *sheet, const struct process *process);

#endif
