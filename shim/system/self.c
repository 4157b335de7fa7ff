/* SPDX-License-Identifier: MIT */
/* `name` is written by self_know, `label` by self_know_label. */
#include "system/self.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

static char name[NAME_MAX + 1] = "?";
static char label[SELF_LABEL_BYTES];

/* The name may be longer than any file's; the rest is left out. */
static void copy(const char *from)
{
	if (from != NULL && from[0] != '\0')
		snprintf(name, sizeof name, "%s", from);
}

void self_know(void)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	/* A program may be called without a name; then its file has one. */
	copy(slash != NULL ? slash + 1 : path);
	copy(program_invocation_short_name);
}

const char *self_name(void)
{
	return name;
}

/* A value of QEMU's options ends at a comma; two of them are one that belongs to it. Returns where it ends. */
static const char *copy_value(const char *from)
{
	size_t used = 0;

	for (; *from != '\0'; from++) {
		if (*from == ',' && *++from != ',')
			break;
		if (used < sizeof label - 1)
			label[used++] = *from;
	}
	label[used] = '\0';
	return from;
}

/* The guest's name in the value of -name: `NAME,...', or among its keys `guest=NAME'. */
static void copy_guest(const char *value)
{
	bool is_first = true;

	while (*value != '\0') {
		size_t key = strcspn(value, "=,");
		bool has_key = value[key] == '=';

		if (has_key && key == strlen("guest") && strncmp(value, "guest", key) == 0) {
			copy_value(value + key + 1);
			return;
		}
		if (is_first && !has_key) {
			copy_value(value);
			return;
		}
		is_first = false;
		/* On to the next key: two commas do not end a value. */
		for (value += key; *value != '\0'; value++) {
			if (*value == ',' && *++value != ',')
				break;
		}
	}
}

void self_know_label(const char *setting, char *const *argv)
{
	snprintf(label, sizeof label, "%s", setting);
	if (label[0] != '\0' || argv == NULL || argv[0] == NULL)
		return;
	for (argv++; argv[0] != NULL && argv[1] != NULL; argv++) {
		/* The last one counts, as it does for QEMU. */
		if (strcmp(argv[0], "-name") == 0 || strcmp(argv[0], "--name") == 0)
			copy_guest(argv[1]);
	}
}

const char *self_label(void)
{
	return label;
}
