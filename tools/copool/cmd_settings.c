/* SPDX-License-Identifier: MIT */
/* copool settings: the settings that a program would have if it started now, and where each comes from. */
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"
#include "settings/files.h"
#include "verb.h"

struct asked {
	struct settings_reading reading;
	char *value[SETTINGS_ALL]; /* NULL: the default */
	json_t *wrong;
	bool is_json;
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "Write one JSON object instead of a table", 0},
        {"label", 'l', "NAME", 0, "Of a process with this label; of QEMU, the guest's name", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct asked *asked = state->input;

	switch (key) {
	case 'j':
		asked->is_json = true;
		return 0;
	case 'l':
		asked->reading.guest = value;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "one program");
		asked->reading.program = strrchr(value, '/') != NULL ? strrchr(value, '/') + 1 : value;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[PROGRAM]",
        .doc = "Shows the settings that PROGRAM would have if it were started now under the library, from here, "
               "and the file and line, or the environment, that each comes from; without PROGRAM, those for "
               "every program.\v"
               "All files are checked, also the sections for other programs. The exit status is 0; 1 if "
               "something in the files or the environment is wrong; 2 for a wrong option.\n\n"
               "The files are described in libcopool(7).",
};

static void take(void *context, enum setting_place place, const char *value)
{
	struct asked *asked = context;

	free(asked->value[place]);
	asked->value[place] = value != NULL ? strdup(value) : NULL;
}

static void tell(void *context, const char *text)
{
	struct asked *asked = context;

	json_array_append_new(asked->wrong, json_string(clean(text)));
}

/* The default, as a file would have it; "" for one that is derived from the system's limits, and for no text. */
static const char *standard(const struct setting *setting)
{
	static char text[64];

	text[0] = '\0';
	if (setting->kind == SETTING_WORD)
		snprintf(text, sizeof text, "%.*s", (int)strcspn(setting->words, ","), setting->words);
	else if (setting->kind != SETTING_TEXT && setting->standard != BATCHES_DERIVED)
		snprintf(text, sizeof text, "%u", setting->standard);
	return text;
}

static const char *value_of(const struct asked *asked, enum setting_place place)
{
	return asked->value[place] != NULL ? asked->value[place] : standard(&settings[place]);
}

static void print_table(const struct asked *asked)
{
	char source[SETTINGS_SOURCE_BYTES];
	json_t *wrong;
	size_t i, width = strlen("value");

	for (i = 0; i < SETTINGS_ALL; i++)
		width = clean_width(value_of(asked, i)) > width ? clean_width(value_of(asked, i)) : width;
	printf("%-12s %-*s  %s\n", "setting", (int)width, "value", "from");
	for (i = 0; i < SETTINGS_ALL; i++) {
		const char *value = clean(value_of(asked, i));

		printf("%-12s %s%*s  %s\n", settings[i].name, value, (int)(width - clean_width(value)), "",
		        clean(settings_files_source(&asked->reading, i, source)));
	}
	fflush(stdout);
	json_array_foreach(asked->wrong, i, wrong)
	        fprintf(stderr, "copool settings: %s\n", json_string_value(wrong));
}

static void print_json(const struct asked *asked)
{
	json_t *all = json_object(), *list = json_array();
	char source[SETTINGS_SOURCE_BYTES];

	for (size_t i = 0; i < SETTINGS_ALL; i++)
		json_array_append_new(
		        list, json_pack("{s:s, s:s, s:s}", "name", settings[i].name, "value",
		                      clean(value_of(asked, i)), "source",
		                      clean(settings_files_source(&asked->reading, i, source))));
	json_object_set_new(all, "program", json_string(clean(asked->reading.program)));
	json_object_set_new(all, "label", json_string(clean(asked->reading.label)));
	json_object_set_new(all, "settings", list);
	json_object_set(all, "wrong", asked->wrong);
	clean_json(all, JSON_INDENT(2), stdout);
	json_decref(all);
}

int cmd_settings(int argc, char **argv)
{
	struct asked asked = {
	        .reading = {.program = "",
	                .user = geteuid(),
	                .checks_all = true,
	                .variable = getenv,
	                .take = take,
	                .tell = tell,
	                .context = &asked},
	        .wrong = json_array(),
	};

	argp_parse(&argp, argc, argv, 0, NULL, &asked);
	settings_files_read(&asked.reading);
	if (asked.is_json)
		print_json(&asked);
	else
		print_table(&asked);
	int status = json_array_size(asked.wrong) > 0;
	for (size_t i = 0; i < SETTINGS_ALL; i++)
		free(asked.value[i]);
	json_decref(asked.wrong);
	return verb_end("settings", status, 1);
}
