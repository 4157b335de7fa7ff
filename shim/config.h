/* SPDX-License-Identifier: MIT */
/*
 * Every COPOOL_* variable, read once at start into one struct; the only caller of getenv. The table in
 * config.c names type, range, default and description of each; a bad value is answered with a warning that
 * names variable and value, and the default stands.
 */
#ifndef COPOOL_CONFIG_H
#define COPOOL_CONFIG_H

#include <limits.h>
#include <stdbool.h>

#include "system/bounds.h"

enum config_host {
	CONFIG_HOST_AUTO,
	CONFIG_HOST_OFF,
	CONFIG_HOST_QEMU,
	CONFIG_HOST_STACKS,
	CONFIG_HOST_NAMED,
};

enum config_mode { CONFIG_MODE_POOL, CONFIG_MODE_OBSERVE };

enum { CONFIG_SYMBOL_BYTES = 256, CONFIG_LABEL_BYTES = 128 };

struct config {
	unsigned host;                  /* COPOOL_HOST: an enum config_host */
	unsigned mode;                  /* COPOOL_MODE: an enum config_mode */
	char log[PATH_MAX];             /* COPOOL_LOG as given, "" when none: see report/path.h for %p, %n */
	char label[CONFIG_LABEL_BYTES]; /* COPOOL_LABEL, "" when none: see system/self.h */
	unsigned tell;       /* COPOOL_TELL: see report_inert; 1 = every process, else the one of this id */
	unsigned summary;    /* COPOOL_SUMMARY: as tell, a line at the end */
	unsigned log_max_kb; /* COPOOL_LOG_MAX_KB; 0 = no limit */
	char prometheus[PATH_MAX];         /* COPOOL_PROMETHEUS as given, "" when none: see report/path.h */
	unsigned interval_ms;              /* COPOOL_INTERVAL_MS */
	unsigned max_batches;              /* COPOOL_MAX_BATCHES; BATCHES_DERIVED: not set; 0 to observe */
	unsigned decay_ms;                 /* COPOOL_DECAY_MS; 0 = never, or to observe */
	unsigned guard;                    /* COPOOL_GUARD: an enum guard_means of stack/guard.h */
	unsigned stack_bytes;              /* COPOOL_STACK_SIZE; 0 = none */
	unsigned max_live;                 /* COPOOL_MAX_LIVE; 0 = no limit */
	unsigned learn;                    /* COPOOL_LEARN: 0 or 1 */
	unsigned zero;                     /* COPOOL_ZERO: 0 or 1 */
	unsigned origins;                  /* COPOOL_ORIGINS: every so many misses; 0 = none */
	unsigned leaks;                    /* COPOOL_LEAKS: 0 or 1 */
	char create[CONFIG_SYMBOL_BYTES];  /* COPOOL_CREATE, "" when none */
	char destroy[CONFIG_SYMBOL_BYTES]; /* COPOOL_DESTROY, "" when none */
	char start_dir[PATH_MAX];          /* the working directory at start, "" when it cannot be named */
};

/*
 * Fills `config` from the environment (secure_getenv: a set-user-id program ignores us). Bad values are
 * queued with warn(). Never fails.
 */
void config_read(struct config *config);

/* How many of the values read were bad. */
unsigned config_mistakes(void);

#endif
