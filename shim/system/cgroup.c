/* SPDX-License-Identifier: MIT */
/*
 * Control groups at their usual places: version 2 at /sys/fs/cgroup, version 1 in a folder with the name of its
 * controller.
 */
#include "system/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum version { FIRST, SECOND };

static const uint64_t no_limit_bytes = 1ULL << 62;

static const char *const folders[] = {[FIRST] = "/sys/fs/cgroup/memory", [SECOND] = "/sys/fs/cgroup"};

bool cgroup_read(int fd, char text[CGROUP_TEXT_BYTES])
{
	ssize_t bytes = fd >= 0 ? pread(fd, text, CGROUP_TEXT_BYTES - 1, 0) : -1;

	text[bytes > 0 ? bytes : 0] = '\0';
	return bytes > 0;
}

static int open_file(const char *root, const char *folder, const char *group, const char *name)
{
	char path[PATH_MAX];
	int bytes = snprintf(path, sizeof path, "%s%s%s/%s", root, folder, group, name);

	return bytes > 0 && (size_t)bytes < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* Whether a list of controllers, up to its colon, has "memory". */
static bool has_memory(const char *list)
{
	static const char name[] = "memory";

	for (; *list != ':' && *list != '\0'; list += strcspn(list, ",:")) {
		list += *list == ',';
		if (strncmp(list, name, sizeof name - 1) == 0 && strchr(",:", list[sizeof name - 1]) != NULL)
			return true;
	}
	return false;
}

/*
 * The group's name, "/a/b", in one version. False: it is in none. The lines are "0::/a/b" in version 2,
 * "4:cpu,memory:/a/b" in version 1.
 */
static bool find_group(const char *root, enum version version, char text[CGROUP_TEXT_BYTES], char **group)
{
	int fd = open_file(root, "/proc/self", "", "cgroup");
	bool is_read = cgroup_read(fd, text);
	char *next = NULL;

	if (fd >= 0)
		close(fd);
	for (char *line = text; is_read && line != NULL; line = next) {
		char *list = strchr(line, ':'), *name;

		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		name = list != NULL ? strchr(list + 1, ':') : NULL;
		if (name == NULL || (version == SECOND ? name != list + 1 : !has_memory(list + 1)))
			continue;
		*group = name + 1;
		return true;
	}
	return false;
}

/* If the group cannot be seen by its name, it is the root of what can be seen. */
static int open_in(const char *root, enum version version, const char *file)
{
	char text[CGROUP_TEXT_BYTES], *group;
	int fd;

	if (file == NULL || !find_group(root, version, text, &group))
		return -1;
	fd = open_file(root, folders[version], group, file);
	return fd >= 0 ? fd : open_file(root, folders[version], "", file);
}

int cgroup_open(const char *root, const char *second, const char *first)
{
	int saved = errno, fd = open_in(root, SECOND, second);

	if (fd < 0)
		fd = open_in(root, FIRST, first);
	errno = saved;
	return fd;
}

static bool is_denied_in(const char *root, enum version version)
{
	char text[CGROUP_TEXT_BYTES], *group;
	int fd, error;

	if (!find_group(root, version, text, &group))
		return false;
	fd = open_file(root, folders[version], group, "cgroup.procs");
	if (fd < 0 && errno == ENOENT)
		fd = open_file(root, folders[version], "", "cgroup.procs");
	error = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return error == EACCES || error == EPERM;
}

bool cgroup_is_denied(const char *root)
{
	int saved = errno, fd = open_file(root, "/proc/self", "", "cgroup");
	bool is_denied = fd < 0 && (errno == EACCES || errno == EPERM);

	if (fd >= 0)
		close(fd);
	is_denied = is_denied || is_denied_in(root, SECOND) || is_denied_in(root, FIRST);
	errno = saved;
	return is_denied;
}

/* The limit of one group. "max", no number, and the large number of version 1 mean that there is none. */
static uint64_t read_limit(const char *root, enum version version, const char *group)
{
	static const char *const files[] = {[FIRST] = "memory.limit_in_bytes", [SECOND] = "memory.max"};
	char text[CGROUP_TEXT_BYTES];
	int fd = open_file(root, folders[version], group, files[version]);
	bool is_number = cgroup_read(fd, text) && text[0] >= '0' && text[0] <= '9';
	uint64_t bytes = is_number ? strtoull(text, NULL, 10) : UINT64_MAX;

	if (fd >= 0)
		close(fd);
	return bytes < no_limit_bytes ? bytes : UINT64_MAX;
}

/* The lowest limit of the group and those above it. What a container sees as the root is the group itself. */
static uint64_t least_limit(const char *root, enum version version)
{
	char text[CGROUP_TEXT_BYTES], *group, *slash;
	uint64_t least = UINT64_MAX, limit;

	if (!find_group(root, version, text, &group))
		return UINT64_MAX;
	for (;;) {
		limit = read_limit(root, version, group);
		least = limit < least ? limit : least;
		slash = strrchr(group, '/');
		if (slash == NULL)
			return least;
		*slash = '\0';
	}
}

uint64_t cgroup_memory_limit(const char *root)
{
	int saved = errno;
	uint64_t second = least_limit(root, SECOND), first = least_limit(root, FIRST);

	errno = saved;
	return second < first ? second : first;
}
