/* SPDX-License-Identifier: MIT */
/*
 * The settings, given environments: variables that a zero byte ends. Every field is in its range or its
 * default, every text has its end, every mistake is told in one message that is whole, and a path is made of
 * what is good.
 */
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"
#include "system/warn.h"
#include "report/path.h"
#include "stack/guard.h"

enum { VARIABLES_MOST = 64 };

static void check_number(const char *name, unsigned value, unsigned low, unsigned high, unsigned standard)
{
	fuzz_must((value >= low && value <= high) || value == standard, "%s is %u", name, value);
}

static void check_text(const char *name, const char *text, size_t room)
{
	fuzz_must(strnlen(text, room) < room, "%s has no end", name);
}

static void check_config(const struct config *config)
{
	bool is_observing = config->mode == CONFIG_MODE_OBSERVE;

	check_number("host", config->host, CONFIG_HOST_AUTO, CONFIG_HOST_NAMED, CONFIG_HOST_AUTO);
	check_number("mode", config->mode, CONFIG_MODE_POOL, CONFIG_MODE_OBSERVE, CONFIG_MODE_POOL);
	check_number("log_max_kb", config->log_max_kb, 64, 1 << 30, 0);
	check_number("interval_ms", config->interval_ms, 10, 3600000, 1000);
	check_number("max_batches", config->max_batches, 0, is_observing ? 0 : 65535,
	        is_observing ? 0 : BATCHES_DERIVED);
	check_number("decay_ms", config->decay_ms, 100, is_observing ? 0 : 86400000, 0);
	check_number("guard", config->guard, 0, 3, 0);
	check_number("stack_size", config->stack_size, 16384, 8454144, 0);
	check_number("learn", config->learn, 0, 1, 0);
	check_number("zero", config->zero, 0, 1, 0);
	check_number("origins", config->origins, 0, 1000000, 0);
	check_number("leaks", config->leaks, 0, 1, 0);
	check_text("log", config->log, sizeof(config->log));
	check_text("prometheus", config->prometheus, sizeof(config->prometheus));
	check_text("create", config->create, sizeof(config->create));
	check_text("destroy", config->destroy, sizeof(config->destroy));
	check_text("start_dir", config->start_dir, sizeof(config->start_dir));
}

/* As many messages as mistakes, or a full queue. */
static void check_warnings(void)
{
	char text[WARN_BYTES];
	unsigned told = 0;
	static unsigned dropped;

	while (warn_next(text)) {
		check_text("a warning", text, sizeof(text));
		told++;
	}
	told += warn_dropped() - dropped;
	dropped = warn_dropped();
	fuzz_must(told == config_mistakes(), "%u mistakes and %u warnings", config_mistakes(), told);
}

static void check_path(const struct config *config, const char *setting)
{
	char *path = malloc(PATH_MAX);
	char *copy = strdup(setting);

	memset(path, 'x', PATH_MAX);
	if (path_expand(path, copy, config->start_dir) == 0) {
		check_text("a path", path, PATH_MAX);
		fuzz_must(path[0] == '/', "a path that depends on the folder: %s", path);
	}
	path_names_process(copy);
	free(copy);
	free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static char *none[] = {NULL};
	char *variables[VARIABLES_MOST + 1], **own = environ;
	struct config *config = malloc(sizeof(*config));
	size_t count = 0;

	for (size_t at = 0; at < bytes && count < VARIABLES_MOST; count++) {
		variables[count] = strndup((const char *)data + at, bytes - at);
		at += strlen(variables[count]) + 1;
	}
	variables[count] = NULL;
	environ = count > 0 ? variables : none;
	config_read(config, "");
	environ = own;
	check_config(config);
	check_warnings();
	check_path(config, config->log);
	check_path(config, config->prometheus);
	while (count > 0)
		free(variables[--count]);
	free(config);
	return 0;
}
