/* SPDX-License-Identifier: MIT */
/* Reads the settings. Values are copied: a program may change its environment at any time. */
#include "config.h"

#include "system/warn.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define OFFSET(name, ...) [SETTING_##name] = offsetof(struct config, name),
static const unsigned offset[SETTINGS_ALL] = {SETTINGS(OFFSET, OFFSET, OFFSET, OFFSET)};
#undef OFFSET

static unsigned mistakes;

static void read_setting(const struct setting *setting, void *field)
{
	const char *value = secure_getenv(setting->variable), *why;

	if (setting->kind != SETTING_TEXT)
		*(unsigned *)field = setting->standard;
	if (value == NULL)
		return;
	why = setting_read(setting, value, field);
	if (why != NULL) {
		mistakes++;
		warn("%s=%.200s: %s; it should be %s; the default is used", setting->variable, value, why,
		        setting->range);
	} else if (setting->kind == SETTING_TEXT) {
		memcpy(field, value, strlen(value) + 1);
	}
}

/* Returns how many letters differ between the common start and the common end of two names. */
static size_t difference(const char *name, size_t bytes, const char *known)
{
	size_t start = 0, end = 0, other = strlen(known);

	while (start < bytes && start < other && name[start] == known[start])
		start++;
	while (end < bytes - start && end < other - start && name[bytes - 1 - end] == known[other - 1 - end])
		end++;
	return (bytes > other ? bytes : other) - start - end;
}

/* Warns of a variable that begins like ours and is not in the list: a misspelt name should not go unnoticed. */
static void check_name(const char *variable)
{
	size_t bytes = strcspn(variable, "="), nearest = 0;

	for (size_t i = 0; i < SETTINGS_ALL; i++) {
		if (strlen(settings[i].variable) == bytes &&
		        memcmp(variable, settings[i].variable, bytes) == 0)
			return;
		if (difference(variable, bytes, settings[i].variable) <
		        difference(variable, bytes, settings[nearest].variable))
			nearest = i;
	}
	mistakes++;
	warn("%.*s: there is no such setting; did you mean %s?", bytes < 100 ? (int)bytes : 100, variable,
	        settings[nearest].variable);
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

void config_read(struct config *config)
{
	memset(config, 0, sizeof *config);
	mistakes = 0;
	for (size_t i = 0; i < SETTINGS_ALL; i++)
		read_setting(&settings[i], (char *)config + offset[i]);
	name_standard(config->log);
	/* Nothing is kept, so nothing is given back. */
	if (config->mode == CONFIG_MODE_OBSERVE)
		config->max_batches = config->decay_ms = 0;
	/* A set-user-id program does not report its user's mistakes either. */
	for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
		if (is_ours(*variable) && getauxval(AT_SECURE) == 0)
			check_name(*variable);
	}
	if ((config->log[0] != '\0' || config->prometheus[0] != '\0') &&
	        getcwd(config->start_dir, sizeof config->start_dir) == NULL)
		config->start_dir[0] = '\0';
}

unsigned config_mistakes(void)
{
	return mistakes;
}
