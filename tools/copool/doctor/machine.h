/* SPDX-License-Identifier: MIT */
/* Facts of the machine and of this process, which a program that is started from here inherits. */
#ifndef COPOOL_TOOLS_DOCTOR_MACHINE_H
#define COPOOL_TOOLS_DOCTOR_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "doctor/sheet.h"

/* The kernel's guard pages, memory maps, huge pages. */
void machine_kernel(struct sheet *sheet);

/* The libraries that the library loads when it needs them, by the loader's search from here. */
void machine_libraries(struct sheet *sheet);

/* What confines this process, and so what it starts. */
void machine_confinement(struct sheet *sheet);

/* /etc/ld.so.preload below `root` ("" for /). */
void machine_preload_file(struct sheet *sheet, const char *root);

/* Reads a small file's first line. Returns false, with errno, if it cannot be read. */
bool machine_line(const char *path, char *text, size_t room);

/* Tells of a security module's confinement that was read, "" or "unconfined" if there is none. */
void machine_domain(struct sheet *sheet, const char *process_folder);

/* Tells of a filter of system calls (the number in /proc/PID/status), and of NoNewPrivs. */
void machine_filter(struct sheet *sheet, int seccomp, int no_new_privs);

#endif
