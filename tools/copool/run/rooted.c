/* SPDX-License-Identifier: MIT */
#include "run/rooted.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINKS_MOST = 40 }; /* as in the kernel */

static int open_as(const char *root, const char *path, unsigned flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int folder, fd, saved;

	if (*root == '\0')
		return open(path, (int)flags | O_CLOEXEC);
	folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
	saved = errno;
	close(folder);
	errno = saved;
	return fd;
}

int rooted_open(const char *root, const char *path)
{
	int fd = open_as(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

bool rooted_has(const char *root, const char *path)
{
	int fd = rooted_open(root, path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool rooted_follow(const char *root, char path[PATH_MAX])
{
	for (int i = 0; i < LINKS_MOST; i++) {
		int fd = open_as(root, path, O_PATH | O_NOFOLLOW);
		char to[PATH_MAX];
		ssize_t length = fd >= 0 ? readlinkat(fd, "", to, sizeof to - 1) : -1;

		if (fd >= 0)
			close(fd);
		if (length < 0)
			return fd >= 0; /* it is no link */
		to[length] = '\0';
		size_t folder = *to == '/' ? 0 : (size_t)(strrchr(path, '/') + 1 - path);
		if (folder + (size_t)length >= PATH_MAX)
			return false;
		strcpy(path + folder, to);
	}
	return false;
}
