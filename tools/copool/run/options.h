/* SPDX-License-Identifier: MIT */
/* The options that become COPOOL_* variables, for every verb that runs programs. settings.h has the list. */
#ifndef COPOOL_TOOLS_RUN_OPTIONS_H
#define COPOOL_TOOLS_RUN_OPTIONS_H

#include <argp.h>

/*
 * Children for a verb's own argp: what is reported of the program, and how it is served. Each option sets its variable
 * in the environment; a value that the library would refuse ends with EXIT_USAGE. The verb's own options have keys
 * below 256 or from OPTIONS_LAST on.
 */
extern const struct argp options_report, options_pool;

enum { OPTIONS_LAST = 1024 };

#endif
