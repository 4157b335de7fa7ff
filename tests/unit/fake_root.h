/* SPDX-License-Identifier: MIT */
/* A folder that stands for the root, with files in it as the kernel has them. One thread. */
#ifndef COPOOL_TESTS_UNIT_FAKE_ROOT_H
#define COPOOL_TESTS_UNIT_FAKE_ROOT_H

#include "tap.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/copool_root.XXXXXX";

/* Writes a file, folders and all. */
TAP_USED __attribute__((format(printf, 2, 3))) static void put(const char *name, const char *format, ...)
{
	char path[PATH_MAX];
	va_list arguments;
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	file = fopen(path, "w");
	if (file == NULL)
		return;
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	fclose(file);
}

/* Removes it with all that is in it. */
TAP_USED static void root_remove(void)
{
	char command[PATH_MAX];

	snprintf(command, sizeof command, "rm -rf '%s'", root);
	if (system(command) != 0)
		tap_ok(false, "the folder %s can be removed", root);
}

/* Makes it again, empty. */
TAP_USED static void root_make(void)
{
	root_remove();
	if (mkdir(root, 0700) != 0)
		tap_ok(false, "the folder %s can be made", root);
}

#endif
