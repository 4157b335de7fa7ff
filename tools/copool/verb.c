/* SPDX-License-Identifier: MIT */
/* A wrong command line ends in argp_error, which exits with EXIT_USAGE. */
#include "verb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long verb_whole(const struct argp_state *state, const char *option, const char *text, long low, long high)
{
	char *end;

	errno = 0;
	long number = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < low || number > high)
		argp_error(state, "--%s=%s: must be a number from %ld to %ld", option, text, low, high);
	return number;
}

double verb_number(
        const struct argp_state *state, const char *option, const char *text, double low, double high)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0' || !(number >= low && number <= high))
		argp_error(state, "--%s=%s: must be a number from %.10g to %.10g", option, text, low, high);
	return number;
}

unsigned verb_setting(
        const struct argp_state *state, const char *option, const char *text, enum setting_place place)
{
	unsigned number = 0;
	const char *why = setting_read(&settings[place], text, &number);

	if (why != NULL)
		argp_error(state, "--%s=%s: %s; it must be %s", option, text, why, settings[place].range);
	return number;
}

error_t verb_arguments(int key, struct argp_state *state, char ***arguments, const char *question)
{
	if (key == ARGP_KEY_ARGS)
		*arguments = state->argv + state->next;
	else if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "%s", question);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

int verb_end(const char *verb, int status, int failed)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "copool %s: cannot write: %s\n", verb, strerror(errno));
	return failed;
}
