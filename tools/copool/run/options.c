/* SPDX-License-Identifier: MIT */
/* Both lists of options, and what their values must be, are made from settings.h. */
#include "run/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings.h"

/* The key of an option without a letter is its setting's place, from here on. */
enum { KEY_FIRST = 256 };

#define OPTION(name, letter, argument, flags) name, letter, argument, flags
#define ENTRY(...)                            ENTRY_OF(__VA_ARGS__)
#define ENTRY_OF(id, text, name, letter, argument, flags)                                                    \
	{name, (letter) ? (letter) : KEY_FIRST + SETTING_##id, argument, flags, text, 0},
#define DESCRIBE(id, variable, option, help, more, ...) ENTRY(id, help more, option)

/* In the order of `settings`. */
static const struct argp_option report_options[] = {
        SETTINGS_REPORT(DESCRIBE, DESCRIBE, DESCRIBE, DESCRIBE){0}};
static const struct argp_option pool_options[] = {SETTINGS_POOL(DESCRIBE, DESCRIBE, DESCRIBE, DESCRIBE){0}};

enum { POOL_FIRST = sizeof report_options / sizeof report_options[0] - 1 };

/* The option with this key, and its setting; NULL: it is none of these. */
static const struct argp_option *find(int key, const struct setting **setting)
{
	for (size_t i = 0; report_options[i].name != NULL; i++) {
		*setting = &settings[i];
		if (report_options[i].key == key)
			return &report_options[i];
	}
	for (size_t i = 0; pool_options[i].name != NULL; i++) {
		*setting = &settings[POOL_FIRST + i];
		if (pool_options[i].key == key)
			return &pool_options[i];
	}
	return NULL;
}

/* Adds the range and the default to an option's help. */
static char *add_range(int key, const char *text, void *input)
{
	const struct setting *setting;
	char *whole;
	int length = -1;

	(void)input;
	if (find(key, &setting) == NULL)
		return (char *)text;
	if (setting->kind == SETTING_WORD)
		length = asprintf(&whole, "%s. One of %s; default %.*s", text, setting->words,
		        (int)strcspn(setting->words, ","), setting->words);
	else if (setting->kind == SETTING_NUMBER && setting->standard == BATCHES_DERIVED)
		length = asprintf(&whole, "%s. %s", text, setting->range);
	else if (setting->kind == SETTING_NUMBER)
		length = asprintf(&whole, "%s. %s; default %u", text, setting->range, setting->standard);
	return length < 0 ? (char *)text : whole;
}

/* `--create' and `--destroy' mean nothing without each other, and `named' nothing without both. */
static void check_pair(const struct argp_state *state)
{
	const char *host = getenv(settings[SETTING_host].variable);
	const char *create = getenv(settings[SETTING_create].variable);
	const char *destroy = getenv(settings[SETTING_destroy].variable);
	bool has_create = create != NULL && *create;
	bool has_destroy = destroy != NULL && *destroy;

	if (has_create != has_destroy)
		argp_error(state, "--%s needs --%s as well", has_create ? "create" : "destroy",
		        has_create ? "destroy" : "create");
	if (host != NULL && strcmp(host, "named") == 0 && !has_create)
		argp_error(state, "--host=named needs --create and --destroy");
}

/* The library leaves out a file that it cannot read, but a user who names one should know. */
static void check_config(const struct argp_state *state, const char *path)
{
	struct stat status;

	if (strcmp(path, "none") == 0)
		return;
	if (stat(path, &status) != 0 || access(path, R_OK) != 0)
		argp_error(state, "--config=%s: %s", path, strerror(errno));
	else if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		argp_error(state, "--config=%s: neither a file nor a folder", path);
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	const struct setting *setting;
	const struct argp_option *option = find(key, &setting);
	unsigned number;

	if (option != NULL) {
		const char *why = value != NULL ? setting_read(setting, value, &number) : NULL;
		if (why != NULL)
			argp_error(state, "--%s=%s: %s; it must be %s", option->name, value, why,
			        setting->range);
		if (setting == &settings[SETTING_config])
			check_config(state, value);
		/* An option without a value is a word of its own. */
		return setenv(setting->variable, value != NULL ? value : "1", 1) == 0 ? 0 : errno;
	}
	if (key != ARGP_KEY_END)
		return ARGP_ERR_UNKNOWN;
	check_pair(state);
	return 0;
}

const struct argp options_report = {.options = report_options, .parser = parse, .help_filter = add_range};
const struct argp options_pool = {.options = pool_options, .parser = parse, .help_filter = add_range};
