/* SPDX-License-Identifier: MIT */
#include "top/fleet_json.h"

static void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)(number & INT64_MAX)));
}

static void set_counts(json_t *object, const struct fleet_counts *counts)
{
	uint64_t hits = counts->new_creates - counts->new_made;

	set_number(object, "creates", counts->creates);
	set_number(object, "new", counts->made);
	json_object_set_new(object, "creates_per_second", json_real(counts->creates_rate));
	json_object_set_new(object, "new_per_second", json_real(counts->made_rate));
	json_object_set_new(object, "hit_share",
	        counts->new_creates ? json_real((double)hits / (double)counts->new_creates) : json_null());
	set_number(object, "live", counts->live);
	set_number(object, "pooled", counts->pooled);
	set_number(object, "peak_objects", counts->peak);
	set_number(object, "idle_bytes", counts->idle_bytes);
	json_object_set_new(object, "idle_bytes_guessed", json_boolean(counts->is_idle_guessed));
}

json_t *fleet_named_as_json(
        const struct fleet_process *process, const char *mode, const struct fleet_counts *counts)
{
	json_t *object = json_object();

	json_object_set_new(object, "program", json_string(process->program));
	json_object_set_new(object, "label", process->label[0] ? json_string(process->label) : json_null());
	json_object_set_new(object, "mode", json_string(mode));
	set_counts(object, counts);
	return object;
}

json_t *fleet_group_as_json(const struct fleet_process *process, size_t processes, const char *mode,
        const struct fleet_counts *sum)
{
	json_t *object = fleet_named_as_json(process, mode, sum);

	set_number(object, "processes", processes);
	return object;
}
