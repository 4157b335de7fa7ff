/* SPDX-License-Identifier: MIT */
/* `name` is written by self_know, `label` by self_know_label. */
#include "system/self.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

static char name[NAME_MAX + 1] = "?";
static char label[SELF_LABEL_BYTES];

/* A name that is longer than any file's is cut. */
static void copy(const char *from)
{
	if (from != NULL && from[0] != '\0')
		snprintf(name, sizeof name, "%s", from);
}

void self_know(void)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	/* A program may be started without a name; then its file has one. */
	copy(slash != NULL ? slash + 1 : path);
	copy(program_invocation_short_name);
}

const char *self_name(void)
{
	return name;
}

void self_know_label(const char *setting, const char *otherwise)
{
	snprintf(label, sizeof label, "%s", setting[0] != '\0' ? setting : otherwise);
}

const char *self_label(void)
{
	return label;
}
