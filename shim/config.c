/* SPDX-License-Identifier: MIT */
/* Reads the settings. Values are copied: a program may change its environment at any time. */
#include "config.h"

#include "settings/files.h"
#include "system/self.h"
#include "system/warn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define OFFSET(name, ...) [SETTING_##name] = offsetof(struct config, name),
static const unsigned offset[SETTINGS_ALL] = {SETTINGS(OFFSET, OFFSET, OFFSET, OFFSET)};
#undef OFFSET

/* config_read() writes it. */
static struct {
	struct settings_reading reading;
	unsigned mistakes;
} known;

static void say(void *context, const char *text)
{
	(void)context;
	known.mistakes++;
	warn("%s", text);
}

static void take(void *context, enum setting_place place, const char *value)
{
	void *field = (char *)context + offset[place];

	if (settings[place].kind == SETTING_TEXT)
		strcpy(field, value != NULL ? value : "");
	else if (value == NULL)
		*(unsigned *)field = settings[place].standard;
	else
		setting_read(&settings[place], value, field);
}

/* Settings that earlier versions had, with the last of these: the environment of a service may still have them. */
static const struct {
	const char *variable, *version;
} gone[] = {{"COPOOL_CRASH_NOTE", "0.1.0"}};

static bool is_gone(const char *variable, size_t bytes)
{
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
		if (strlen(gone[i].variable) == bytes && memcmp(variable, gone[i].variable, bytes) == 0) {
			warn("%s is a setting of copool %s, and does nothing any more", gone[i].variable,
			        gone[i].version);
			return true;
		}
	}
	return false;
}

/* Warns of a variable that begins like ours and is not in the list: a misspelt name should not go unnoticed. */
static void check_name(const char *variable)
{
	size_t bytes = strcspn(variable, "=");
	const struct setting *nearest = setting_nearest(variable, bytes, true);

	if (strlen(nearest->variable) == bytes && memcmp(variable, nearest->variable, bytes) == 0)
		return;
	known.mistakes++;
	if (is_gone(variable, bytes))
		return;
	warn("%.*s: there is no such setting; did you mean %s?", bytes < 100 ? (int)bytes : 100, variable,
	        nearest->variable);
}

static bool is_ours(const char *variable)
{
	return strncmp(variable, "COPOOL_", 7) == 0 && strncmp(variable, "COPOOL_TEST_", 12) != 0 &&
	       strncmp(variable, "COPOOL_BUILD", 12) != 0;
}

/* A path that leads to standard output or error means the word. */
static void name_standard(char *log)
{
	static const char *const folders[] = {"/dev/std", "/dev/fd/", "/proc/self/fd/"};
	static const char *const out[] = {"out", "1"}, *const err[] = {"err", "2"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		size_t bytes = strlen(folders[i]);

		if (strncmp(log, folders[i], bytes) != 0)
			continue;
		if (strcmp(log + bytes, out[i != 0]) == 0)
			strcpy(log, "stdout");
		else if (strcmp(log + bytes, err[i != 0]) == 0)
			strcpy(log, "stderr");
	}
}

void config_read(struct config *config, const char *guest)
{
	/* A set-user-id program neither lets its user's settings count nor reports mistakes. */
	bool is_secure = getauxval(AT_SECURE) != 0;

	memset(config, 0, sizeof *config);
	memset(&known, 0, sizeof known);
	known.reading = (struct settings_reading){
	        .program = self_name(),
	        .guest = guest,
	        .user = (uid_t)getauxval(AT_EUID),
	        .reads_none = is_secure,
	        .variable = secure_getenv,
	        .take = take,
	        .tell = say,
	        .context = config,
	};
	for (size_t i = 0; i < SETTINGS_ALL; i++)
		take(config, (enum setting_place)i, NULL);
	settings_files_read(&known.reading);
	name_standard(config->log);
	/* Nothing is kept, so nothing is given back. */
	if (config->mode == CONFIG_MODE_OBSERVE)
		config->max_batches = config->decay_ms = 0;
	for (char **variable = environ; !is_secure && variable != NULL && *variable != NULL; variable++) {
		if (is_ours(*variable))
			check_name(*variable);
	}
	if ((config->log[0] != '\0' || config->prometheus[0] != '\0') &&
	        getcwd(config->start_dir, sizeof config->start_dir) == NULL)
		config->start_dir[0] = '\0';
}

unsigned config_mistakes(void)
{
	return known.mistakes;
}

const char *config_source(enum setting_place place, char *text)
{
	return known.reading.source[place].rank != SETTINGS_DEFAULT
	               ? settings_files_source(&known.reading, place, text)
	               : NULL;
}

const char *config_called(enum setting_place place, char *text)
{
	unsigned char rank = known.reading.source[place].rank;
	size_t used;

	if (rank == SETTINGS_DEFAULT || rank == SETTINGS_ENVIRONMENT)
		return settings[place].variable;
	used = strlen(settings_files_source(&known.reading, place, text));
	snprintf(text + used, SETTINGS_SOURCE_BYTES - used, ": %s", settings[place].name);
	return text;
}

void config_value(const struct config *config, enum setting_place place, char *text, size_t bytes)
{
	const struct setting *setting = &settings[place];
	const void *field = (const char *)config + offset[place];
	const char *word = setting->words;

	if (setting->kind == SETTING_TEXT) {
		snprintf(text, bytes, "%s", (const char *)field);
	} else if (setting->kind == SETTING_WORD) {
		for (unsigned i = *(const unsigned *)field; i > 0; i--)
			word = strchr(word, ',') + strlen(", ");
		snprintf(text, bytes, "%.*s", (int)strcspn(word, ","), word);
	} else if (*(const unsigned *)field == BATCHES_DERIVED) {
		text[0] = '\0';
	} else {
		snprintf(text, bytes, "%u", *(const unsigned *)field);
	}
}
