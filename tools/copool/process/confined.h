/* SPDX-License-Identifier: MIT */
#ifndef COPOOL_TOOLS_PROCESS_CONFINED_H
#define COPOOL_TOOLS_PROCESS_CONFINED_H

#include <sys/types.h>

enum { CONFINED_BYTES = 256 };

/* What confines a process, as /proc tells, in the words of the log's `open`; "": nothing, or it may not be read. */
void confined_by(pid_t pid, char text[CONFINED_BYTES]);

#endif
