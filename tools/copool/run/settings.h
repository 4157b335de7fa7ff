/* SPDX-License-Identifier: MIT */
/* The options that become COPOOL_* variables, for every verb that runs programs. */
#ifndef COPOOL_TOOLS_RUN_SETTINGS_H
#define COPOOL_TOOLS_RUN_SETTINGS_H

#include <argp.h>

/*
 * To be children of a verb's own argp: what is said of a run, and how the program is served. Each option sets
 * its variable in the environment; a value that the library would refuse ends with EXIT_USAGE. A verb's own
 * options have keys below 256 or from SETTINGS_LAST on.
 */
extern const struct argp settings_report, settings_pool;

enum { SETTINGS_LAST = 1024 };

#endif
