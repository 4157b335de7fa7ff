/* SPDX-License-Identifier: MIT */
/* What all verbs do alike. */
#ifndef COPOOL_TOOLS_VERB_H
#define COPOOL_TOOLS_VERB_H

#include <argp.h>

#include "settings.h"

/* The value of an option, from `low` to `high`. For any other text the command ends with a message. */
long verb_whole(const struct argp_state *state, const char *option, const char *text, long low, long high);
double verb_number(
        const struct argp_state *state, const char *option, const char *text, double low, double high);

/* The value of an option that is a setting. For a value that the library would refuse the command ends with a message. */
unsigned verb_setting(
        const struct argp_state *state, const char *option, const char *text, enum setting_place place);

/*
 * The rest of a verb's parser: takes the arguments, which end with NULL. If there are none the command ends with
 * `question`.
 */
error_t verb_arguments(int key, struct argp_state *state, char ***arguments, const char *question);

/* Flushes standard output. Returns `status`; or `failed`, after a message, if that is not possible. */
int verb_end(const char *verb, int status, int failed);

#endif
