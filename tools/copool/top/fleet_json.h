/* SPDX-License-Identifier: MIT */
/* Processes of the fleet as JSON. Both return new references. */
#ifndef COPOOL_TOOLS_TOP_FLEET_JSON_H
#define COPOOL_TOOLS_TOP_FLEET_JSON_H

#include <jansson.h>

#include "top/fleet.h"

/* Name, label and counts, of one process or of several. */
json_t *fleet_named_as_json(
        const struct fleet_process *process, const char *mode, const struct fleet_counts *counts);

/* The same for several processes of one name and label, with their number. */
json_t *fleet_group_as_json(const struct fleet_process *process, size_t processes, const char *mode,
        const struct fleet_counts *sum);

#endif
