/* SPDX-License-Identifier: MIT */
/* All processes that have the library, on a terminal: a line for each program, which opens into its processes. */
#ifndef COPOOL_TOOLS_TOP_OVERVIEW_H
#define COPOOL_TOOLS_TOP_OVERVIEW_H

#include <sys/types.h>

#include "top/fleet.h"
#include "top/screen.h"

struct overview {
	bool has_open; /* a program whose processes are shown: the next two */
	char program[FLEET_NAME], label[FLEET_NAME];
	pid_t pid;    /* what is chosen: a process; 0: all of a program … */
	size_t first; /* … which begin there in the fleet */
};

/* `screen` has the row that is chosen, the note and the title's words. */
void overview_draw(struct overview *overview, struct screen *screen, const struct fleet *fleet);

/* Goes into what is chosen: a program opens, or closes; of a process its number is returned, else 0. */
pid_t overview_enter(struct overview *overview, const struct fleet *fleet);

#endif
