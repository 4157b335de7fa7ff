/* SPDX-License-Identifier: MIT */
/*
 * denied PATH... -- COMMAND...: runs the command where none of these paths may be opened, and nothing made in them,
 * whatever their mode says. Landlock does that: what is not allowed is denied, so all but the paths is allowed. Exits
 * with 99 if the kernel has no Landlock.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NO_LANDLOCK = 99 };

static const uint64_t of_files =
        LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
static const uint64_t of_all = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                               LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_DIR |
                               LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;

static char denied[8][PATH_MAX];
static int paths;

/* 1: it is one of the paths; 2: one of them is below it; 0: it has nothing to do with them. */
static int concerns(const char *path)
{
	size_t bytes = strlen(path);

	for (int i = 0; i < paths; i++) {
		if (strcmp(denied[i], path) == 0)
			return 1;
		if (bytes == 1 || (strncmp(denied[i], path, bytes) == 0 && denied[i][bytes] == '/'))
			return 2;
	}
	return 0;
}

static void allow(int rules, const char *path)
{
	struct landlock_path_beneath_attr beneath = {0};
	struct stat status;

	if (lstat(path, &status) != 0 || S_ISLNK(status.st_mode))
		return;
	beneath.parent_fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	beneath.allowed_access = S_ISDIR(status.st_mode) ? of_all : of_files;
	if (beneath.parent_fd < 0)
		return;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
		err(1, "%s", path);
	close(beneath.parent_fd);
}

/* Allows what is in the folder, but for the paths. */
static void allow_in(int rules, const char *folder)
{
	DIR *open = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];

	while (open != NULL && (entry = readdir(open)) != NULL) {
		int about;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(path, sizeof path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
		            entry->d_name) >= (int)sizeof path)
			continue;
		about = concerns(path);
		if (about == 0)
			allow(rules, path);
		else if (about == 2)
			allow_in(rules, path);
	}
	if (open != NULL)
		closedir(open);
}

int main(int count, char **arguments)
{
	struct landlock_ruleset_attr all = {.handled_access_fs = of_all};
	int rules, at = 1;

	for (; at < count && strcmp(arguments[at], "--") != 0 && paths < 8; at++)
		if (realpath(arguments[at], denied[paths++]) == NULL)
			err(1, "%s", arguments[at]);
	if (at + 1 >= count)
		errx(1, "usage: denied PATH... -- COMMAND...");
	rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
	if (rules < 0)
		return NO_LANDLOCK;
	allow_in(rules, "/");
	/* Only root needs no promise to gain no rights. */
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		err(1, "PR_SET_NO_NEW_PRIVS");
	if (syscall(SYS_landlock_restrict_self, rules, 0) != 0)
		return NO_LANDLOCK;
	execvp(arguments[at + 1], arguments + at + 1);
	err(1, "%s", arguments[at + 1]);
}
