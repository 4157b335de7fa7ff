/* SPDX-License-Identifier: MIT */
/*
 * The settings in force: what the COPOOL_* variables said when the program started (settings.h has the list). The only
 * file that reads the environment.
 */
#ifndef COPOOL_CONFIG_H
#define COPOOL_CONFIG_H

#include "settings.h"

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
 * Fills `config` from the environment; of a set-user-id program, with the defaults. A bad value costs one warning, and
 * the default is used. In observe mode max_batches and decay_ms are 0. Never fails.
 */
void config_read(struct config *config);

/* Returns how many mistakes config_read() found. */
unsigned config_mistakes(void);

#endif
