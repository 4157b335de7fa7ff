/* SPDX-License-Identifier: MIT */
#include "draw/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void forget(struct output *output)
{
	free(output->path);
	free(output->temporary);
	memset(output, 0, sizeof *output);
}

/* Opens a temporary file beside `path`, with the mode that `path` has or would get. Returns it, or -errno. */
static int open_beside(struct output *output, const struct stat *old)
{
	const char *slash = strrchr(output->path, '/');
	int folder = slash != NULL ? (int)(slash - output->path) + 1 : 0;
	mode_t mask = umask(0);

	umask(mask);
	if (asprintf(&output->temporary, "%.*s.copool-XXXXXX", folder, output->path) < 0) {
		output->temporary = NULL;
		return -ENOMEM;
	}
	int fd = mkostemp(output->temporary, O_CLOEXEC);
	if (fd < 0) {
		int error = -errno;
		free(output->temporary);
		output->temporary = NULL;
		return error;
	}
	fchmod(fd, old != NULL ? old->st_mode & 0777 : 0666 & ~mask);
	return fd;
}

static int open_itself(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

int output_open(struct output *output, const char *path)
{
	struct stat old;

	memset(output, 0, sizeof *output);
	if (strcmp(path, "-") == 0) {
		output->file = stdout;
		return 0;
	}
	bool exists = stat(path, &old) == 0;
	output->path = exists && S_ISREG(old.st_mode) ? realpath(path, NULL)
	                                              : strdup(path); /* a link stays a link */
	if (output->path == NULL)
		return -errno;
	int fd;
	if (exists && S_ISDIR(old.st_mode))
		fd = -EISDIR;
	else if (exists && !S_ISREG(old.st_mode))
		fd = open_itself(output->path);
	else
		fd = open_beside(output, exists ? &old : NULL);
	output->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (output->file != NULL)
		return 0;
	int error = fd < 0 ? fd : -errno;
	if (fd >= 0)
		close(fd);
	output_discard(output);
	return error;
}

int output_commit(struct output *output)
{
	int error = fflush(output->file) != 0 ? -errno : ferror(output->file) ? -EIO : 0;

	if (output->path != NULL && fclose(output->file) != 0 && error == 0)
		error = -errno;
	output->file = NULL;
	if (error == 0 && output->temporary != NULL && rename(output->temporary, output->path) != 0)
		error = -errno;
	if (error)
		output_discard(output);
	else
		forget(output);
	return error;
}

void output_discard(struct output *output)
{
	if (output->file != NULL && output->path != NULL)
		fclose(output->file);
	if (output->temporary != NULL)
		unlink(output->temporary);
	forget(output);
}
