/* SPDX-License-Identifier: MIT */
/*
 * The settings in force: what the files and the COPOOL_* variables said when the program started (settings.h has the
 * list, settings/files.h the files). The only file that reads the environment.
 */
#ifndef COPOOL_CONFIG_H
#define COPOOL_CONFIG_H

#include "settings/files.h"

#include <limits.h>

/* In the order of their words in settings.h. */
enum config_host {
	CONFIG_HOST_AUTO,
	CONFIG_HOST_OFF,
	CONFIG_HOST_QEMU,
	CONFIG_HOST_STACKS,
	CONFIG_HOST_NAMED,
};

enum config_mode { CONFIG_MODE_POOL, CONFIG_MODE_OBSERVE };

struct config {
#define CONFIG_NUMBER(name, ...)                                      unsigned name;
#define CONFIG_TEXT(name, variable, option, help, more, bytes, value) char name[bytes];
	SETTINGS(CONFIG_NUMBER, CONFIG_NUMBER, CONFIG_NUMBER, CONFIG_TEXT)
#undef CONFIG_NUMBER
#undef CONFIG_TEXT
	char start_dir[PATH_MAX]; /* the working directory at start, "" when it has no name */
};

/*
 * Fills `config` from the files and the environment (settings/files.h); of a set-user-id program, with the defaults.
 * `guest` is the label if no setting gives one, or "". What is wrong costs one warning, and is as if it were not there.
 * In observe mode max_batches and decay_ms are 0. Never fails. The constructor calls it, after self_know().
 */
void config_read(struct config *config, const char *guest);

/* Returns how many mistakes config_read() found. */
unsigned config_mistakes(void);

/*
 * Where a setting comes from: "FILE:LINE" or "environment", written to `text` (SETTINGS_SOURCE_BYTES). NULL: nobody has
 * set it.
 */
const char *config_source(enum setting_place place, char *text);

/* What messages call a setting: "COPOOL_LOG", or "FILE:LINE: log", written to `text` (SETTINGS_SOURCE_BYTES). */
const char *config_called(enum setting_place place, char *text);

/* Writes a setting's value as a file has it; "" for one that is derived. */
void config_value(const struct config *config, enum setting_place place, char *text, size_t bytes);

#endif
