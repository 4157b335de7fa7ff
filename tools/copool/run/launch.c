/* SPDX-License-Identifier: MIT */
#include "run/launch.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"
#include "run/target.h"

/* Relative to this program's file. The Makefile has the second, as the library is installed. */
static const char *const places[] = {"libcopool.so", COPOOL_LIBRARY};

int launch_find_shim(char *shim)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	if (length < 0)
		return -ENOENT;
	self[length] = '\0';
	const char *folder = dirname(self);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		char path[PATH_MAX + 32];
		snprintf(path, sizeof path, "%s/%s", folder, places[i]);
		if (realpath(path, shim) != NULL)
			return 0;
	}
	return -ENOENT;
}

/* Puts the shim before what is preloaded already. Returns 0, or -errno. */
static int set_preload(const char *shim)
{
	const char *before = getenv("LD_PRELOAD");
	char *preload;

	if (before == NULL || *before == '\0')
		return setenv("LD_PRELOAD", shim, 1) == 0 ? 0 : -errno;
	if (asprintf(&preload, "%s:%s", shim, before) < 0)
		return -ENOMEM;
	int error = setenv("LD_PRELOAD", preload, 1) == 0 ? 0 : -errno;
	free(preload);
	return error;
}

int launch_prepare(struct launch *launch, const char *verb, char **program)
{
	struct target target = {.user = getuid(), .group = getgid()};

	launch->verb = verb;
	launch->program = program;
	if (launch_find_shim(launch->shim) != 0) {
		fprintf(stderr, "copool %s: there is neither libcopool.so beside copool nor %s\n", verb,
		        places[1]);
		return EXIT_OURS;
	}
	if (strpbrk(launch->shim, " :") != NULL) {
		fprintf(stderr, "copool %s: LD_PRELOAD cannot name `%s': it has a space or a colon\n", verb,
		        clean(launch->shim));
		return EXIT_OURS;
	}
	int error = target_find(program[0], launch->path);
	if (error) {
		fprintf(stderr, "copool %s: %s: %s\n", verb, clean(program[0]),
		        error == -ENOENT ? "no such program" : strerror(-error));
		return error == -ENOENT ? EXIT_NOT_FOUND : EXIT_REFUSED;
	}
	if (target_check(launch->path, launch->shim, &target) != 0) {
		fprintf(stderr, "copool %s: %s %s\n", verb, clean(launch->path), clean(target.reason));
		return EXIT_REFUSED;
	}
	return 0;
}

int launch_exec(const struct launch *launch)
{
	int error = set_preload(launch->shim);

	if (error == 0) {
		execvp(launch->path, launch->program);
		error = -errno;
	}
	fprintf(stderr, "copool %s: %s: %s\n", launch->verb, clean(launch->path), strerror(-error));
	return error == -ENOENT ? EXIT_NOT_FOUND : EXIT_REFUSED;
}
