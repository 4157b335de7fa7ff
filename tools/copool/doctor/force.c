/* SPDX-License-Identifier: MIT */
#include "doctor/force.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings/files.h"

/* The reader asks for variables without a context. Written by force_tell. */
static const struct force *asked;

struct taken {
	struct sheet *sheet;
	char *value[SETTINGS_ALL]; /* NULL: the default */
};

static char *find_variable(const char *name)
{
	size_t length = strlen(name);

	if (asked->variables == NULL)
		return getenv(name);
	for (size_t at = 0; at < asked->bytes; at += strlen(asked->variables + at) + 1) {
		const char *variable = asked->variables + at;

		if (strncmp(variable, name, length) == 0 && variable[length] == '=')
			return (char *)variable + length + 1;
	}
	return NULL;
}

static void take(void *context, enum setting_place place, const char *value)
{
	struct taken *taken = context;

	free(taken->value[place]);
	taken->value[place] = value != NULL ? strdup(value) : NULL;
}

static void tell(void *context, const char *text)
{
	struct taken *taken = context;

	sheet_find(taken->sheet, SHEET_NOTE, "settings", "%s", text);
}

void force_tell(struct sheet *sheet, const struct force *force, char log[PATH_MAX])
{
	static struct settings_reading reading;
	struct taken taken = {.sheet = sheet};
	const char *slash = strrchr(force->program, '/');

	asked = force;
	reading = (struct settings_reading){
	        .program = slash != NULL ? slash + 1 : force->program,
	        .guest = force->label,
	        .root = force->root,
	        .user = force->user,
	        .variable = find_variable,
	        .take = take,
	        .tell = tell,
	        .context = &taken,
	};
	settings_files_read(&reading);
	snprintf(log, PATH_MAX, "%s", taken.value[SETTING_log] != NULL ? taken.value[SETTING_log] : "");
	for (enum setting_place i = 0; i < SETTINGS_ALL; i++) {
		char source[SETTINGS_SOURCE_BYTES];
		json_t *one = json_object(), *value;

		settings_files_source(&reading, i, source);
		value = taken.value[i] != NULL ? json_string(taken.value[i]) : NULL;
		json_object_set_new(one, "value", value != NULL ? value : json_null());
		json_object_set_new(one, "source", json_string(source));
		if (strcmp(source, "default") != 0)
			sheet_set(sheet, "settings", settings[i].name, json_incref(one));
		json_decref(one);
		free(taken.value[i]);
	}
}
