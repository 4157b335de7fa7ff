/* SPDX-License-Identifier: MIT */
/* Facts of the machine and of this process, which a program that is started from here inherits. */
#ifndef COPOOL_TOOLS_DOCTOR_MACHINE_H
#define COPOOL_TOOLS_DOCTOR_MACHINE_H

#include <sys/types.h>

#include "doctor/sheet.h"

/* The kernel's guard pages, memory maps, huge pages. */
void machine_kernel(struct sheet *sheet);

/* The libraries that the library loads when it needs them, by the loader's search from here. */
void machine_libraries(struct sheet *sheet);

/* What confines this process, and so what it starts. */
void machine_confinement(struct sheet *sheet);

/* /etc/ld.so.preload below `root` ("" for /). */
void machine_preload_file(struct sheet *sheet, const char *root);

/* Tells what confines a process; 0 is this process. */
void machine_confined(struct sheet *sheet, pid_t pid);

#endif
