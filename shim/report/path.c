/* SPDX-License-Identifier: MIT */
#include "report/path.h"

#include "system/clock.h"
#include "system/self.h"
#include "report/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_FREE_FD = 3 };

static int append(char *path, size_t *used, const char *text)
{
	size_t bytes = strlen(text);

	if (bytes >= PATH_MAX - *used)
		return -ENAMETOOLONG;
	memcpy(path + *used, text, bytes + 1);
	*used += bytes;
	return 0;
}

/*
 * Appends a name from outside. Without slashes and leading dots it stays in the folder that the setting names; without
 * control characters, and as UTF-8, it can be listed.
 */
static int append_cleaned(char *path, size_t *used, const char *text)
{
	const unsigned char *from = (const unsigned char *)text;
	char name[NAME_MAX + 1];
	size_t bytes = 0;

	while (*from != '\0' && bytes < sizeof name - UTF8_MAX) {
		size_t whole = utf8_bytes(from);
		bool is_up = *from == '.' && (bytes == 0 || name[bytes - 1] == '.');
		bool is_kept = utf8_is_plain(from) && *from != '/' && !is_up;

		if (is_kept)
			memcpy(name + bytes, from, whole);
		else
			name[bytes] = '_';
		bytes += is_kept ? whole : 1;
		from += whole > 0 ? whole : 1;
	}
	name[bytes] = '\0';
	return append(path, used, name);
}

static int append_name(char *path, size_t *used)
{
	return append_cleaned(path, used, self_name());
}

/* If there is no label, appends the program's name, so that no part of the path is empty. */
static int append_label(char *path, size_t *used)
{
	return append_cleaned(path, used, self_label()[0] != '\0' ? self_label() : self_name());
}

static int append_pid(char *path, size_t *used)
{
	char text[16];

	snprintf(text, sizeof text, "%d", (int)clock_pid());
	return append(path, used, text);
}

/* The words in braces are for systemd, supervisord and others, which expand per cent signs themselves. */
static const struct part {
	const char *sign, *word; /* sign may be NULL */
	int (*append)(char *path, size_t *used);
} parts[] = {
        {"%n", "{name}", append_name},
        {"%p", "{pid}", append_pid},
        {NULL, "{label}", append_label},
};

enum { PARTS = sizeof parts / sizeof *parts };

/* The part at the start of `setting`, and how many `bytes` its name has; NULL: there is none. */
static const struct part *part_at(const char *setting, size_t *bytes)
{
	for (size_t i = 0; i < PARTS; i++) {
		*bytes = parts[i].sign != NULL ? strlen(parts[i].sign) : 0;
		if (*bytes > 0 && strncmp(setting, parts[i].sign, *bytes) == 0)
			return &parts[i];
		*bytes = strlen(parts[i].word);
		if (strncmp(setting, parts[i].word, *bytes) == 0)
			return &parts[i];
	}
	return NULL;
}

/* How many bytes stand for one character, the last of them: %%, %{ or the character itself. */
static size_t literal_bytes(const char *setting)
{
	return strncmp(setting, "%%", 2) == 0 || strncmp(setting, "%{", 2) == 0 ? 2 : 1;
}

/* Whether a word in braces begins here. All other braces stand for themselves. */
static bool is_word(const char *setting)
{
	size_t bytes = setting[0] == '{' ? strspn(setting + 1, "abcdefghijklmnopqrstuvwxyz") : 0;

	return bytes > 0 && setting[1 + bytes] == '}';
}

int path_expand(char *path, const char *setting, const char *start_dir)
{
	size_t used = 0, bytes;
	int error = 0;

	path[0] = '\0';
	if (setting[0] != '/') {
		error = start_dir[0] == '/' ? append(path, &used, start_dir) : -ENOENT;
		if (error == 0)
			error = append(path, &used, "/");
	}
	for (; *setting != '\0' && error == 0; setting += bytes) {
		const struct part *part = part_at(setting, &bytes);

		if (part != NULL) {
			error = part->append(path, &used);
			continue;
		}
		bytes = literal_bytes(setting);
		if ((bytes == 1 && *setting == '%') || is_word(setting))
			return -EDOM;
		error = append(path, &used, (char[]){setting[bytes - 1], '\0'});
	}
	return error;
}

bool path_names_process(const char *setting)
{
	size_t bytes;

	for (; *setting != '\0'; setting += bytes) {
		const struct part *part = part_at(setting, &bytes);

		if (part != NULL && part->append == append_pid)
			return true;
		if (part == NULL)
			bytes = literal_bytes(setting);
	}
	return false;
}

int path_open(const char *path, int flags, unsigned mode)
{
	int fd = open(path, flags, mode), moved;

	if (fd < 0)
		return -errno;
	if (fd >= FIRST_FREE_FD)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (moved < 0)
		moved = -errno;
	close(fd);
	return moved;
}

/* Whether another user may put files there. */
static bool is_others(const struct stat *folder)
{
	uid_t user = geteuid();

	/* If we are root, a folder's group matters, too: its members could make us write to files that they may not. */
	return (folder->st_mode & S_IWOTH) != 0 || (folder->st_uid != 0 && folder->st_uid != user) ||
	       (user == 0 && folder->st_gid != 0 && (folder->st_mode & S_IWGRP) != 0);
}

int path_check_owner(const char *path, const struct stat *file)
{
	size_t bytes = (size_t)(strrchr(path, '/') - path) + 1;
	char folder[PATH_MAX];
	struct stat status;

	memcpy(folder, path, bytes);
	folder[bytes] = '\0';
	if (stat(folder, &status) != 0)
		return -errno;
	if (!is_others(&status))
		return 0;
	if (file->st_uid != geteuid() && file->st_uid != status.st_uid)
		return -PATH_PLANTED;
	return S_ISREG(file->st_mode) && file->st_nlink > 1 ? -PATH_PLANTED : 0;
}
