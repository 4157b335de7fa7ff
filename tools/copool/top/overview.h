/* SPDX-License-Identifier: MIT */
/* All processes that have the library, on a terminal: a line for each program, which opens into its processes. */
#ifndef COPOOL_TOOLS_TOP_OVERVIEW_H
#define COPOOL_TOOLS_TOP_OVERVIEW_H

#include <sys/types.h>

#include "top/fleet.h"
#include "top/screen.h"

struct overview {
	bool has_open; /* `program` and `label` are of a program whose processes are shown */
	char program[FLEET_NAME], label[FLEET_NAME];
	pid_t pid;    /* the chosen process; 0: a whole program */
	size_t first; /* where that begins in the fleet */
};

/* `screen` has the chosen row, the note and the words of the title. */
void overview_draw(struct overview *overview, struct screen *screen, const struct fleet *fleet);

/* Opens or closes the chosen program, and returns 0; if a process is chosen, returns its ID. */
pid_t overview_enter(struct overview *overview, const struct fleet *fleet);

#endif
