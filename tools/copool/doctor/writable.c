/* SPDX-License-Identifier: MIT */
/*
 * For another user a child becomes that user and asks the kernel, so access lists and read-only file systems count;
 * only root can. Else the modes of the folders are read.
 */
#include "doctor/writable.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_FINE = 0, ANSWER_UNKNOWN = 255 };

int writer_find(struct writer *writer, const char *name)
{
	bool is_number = *name != '\0' && name[strspn(name, "0123456789")] == '\0';
	unsigned long number = is_number ? strtoul(name, NULL, 10) : 0;
	const struct passwd *user = is_number ? getpwuid((uid_t)number) : getpwnam(name);

	*writer = (struct writer){0};
	snprintf(writer->name, sizeof writer->name, "%s", name);
	if ((user == NULL && !is_number) || number >= (uid_t)-1) /* which stands for no user */
		return -ENOENT;
	if (user == NULL) {
		writer->user = (uid_t)number; /* a container may have no name for it */
		writer->group = (gid_t)number;
		return 0;
	}
	snprintf(writer->name, sizeof writer->name, "%s", user->pw_name);
	writer->user = user->pw_uid;
	writer->group = user->pw_gid;
	writer->group_count = WRITABLE_GROUPS;
	if (getgrouplist(user->pw_name, user->pw_gid, writer->groups, &writer->group_count) < 0)
		writer->group_count = WRITABLE_GROUPS;
	return 0;
}

static bool is_in_group(const struct writer *writer, gid_t group)
{
	bool is = writer->group == group;

	for (int i = 0; i < writer->group_count; i++)
		is |= writer->groups[i] == group;
	return is;
}

/* Whether the mode lets the writer do what `wanted` (R_OK, W_OK, X_OK) says. */
static bool is_allowed(const struct writer *writer, const struct stat *status, unsigned wanted)
{
	unsigned mode = status->st_mode;

	if (status->st_uid == writer->user)
		mode >>= 6;
	else if (is_in_group(writer, status->st_gid))
		mode >>= 3;
	return writer->user == 0 || (mode & wanted) == wanted;
}

/* Checks each folder of the path by its mode. Returns 0 or -errno. */
static int check_modes(const struct writer *writer, const char *path, unsigned wanted)
{
	char part[2 * PATH_MAX];
	struct stat status;

	for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		if (stat(part, &status) != 0)
			return -errno;
		if (!is_allowed(writer, &status, X_OK))
			return -EACCES;
	}
	if (stat(path, &status) != 0)
		return -errno;
	return is_allowed(writer, &status, wanted) ? 0 : -EACCES;
}

/* Asks the kernel as the writer. Returns 0, -errno; or 1 if this process cannot become the writer. */
static int check_as(const struct writer *writer, int root, const char *path, int wanted)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setgroups((size_t)writer->group_count, writer->groups) != 0 ||
		        setresgid(writer->group, writer->group, writer->group) != 0 ||
		        setresuid(writer->user, writer->user, writer->user) != 0)
			_exit(ANSWER_UNKNOWN);
		_exit(faccessat(root, path, wanted, 0) == 0 ? ANSWER_FINE : errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	        WEXITSTATUS(status) == ANSWER_UNKNOWN)
		return 1;
	return -WEXITSTATUS(status);
}

/* Returns 0 or -errno. */
static int check(const struct writer *writer, const char *root, const char *path, int wanted)
{
	char whole[2 * PATH_MAX];
	int fd, answer;

	snprintf(whole, sizeof whole, "%s%s", root, path);
	if (writer->user == geteuid())
		return access(whole, wanted) == 0 ? 0 : -errno;
	fd = geteuid() == 0 ? open(*root != '\0' ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	answer = fd >= 0 ? check_as(writer, fd, path + (path[1] != '\0'), wanted) : 1;
	if (fd >= 0)
		close(fd);
	return answer <= 0 ? answer : check_modes(writer, whole, (unsigned)wanted);
}

/* Cuts the last name off an absolute path. */
static void leave(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path ? 1 : 0] = '\0';
}

/* Cuts a path at the last folder whose name does not differ from process to process. */
static void cut(char *path)
{
	size_t plain = strcspn(path, "%{");

	if (path[plain] == '\0')
		return;
	path[plain] = '\0';
	leave(path);
}

static bool is_standard(const char *log)
{
	return strcmp(log, "stderr") == 0 || strcmp(log, "stdout") == 0 || strncmp(log, "/dev/", 5) == 0 ||
	       strncmp(log, "/proc/self/fd/", 14) == 0;
}

void writable_check(struct sheet *sheet, const struct writer *writer, const char *log, const char *root,
        const char *folder)
{
	char path[PATH_MAX], whole[2 * PATH_MAX];
	struct stat status;
	int error;

	sheet_text(sheet, "log", "path", log);
	sheet_text(sheet, "log", "user", writer->name);
	sheet_set(sheet, "log", "is_writable", json_true());
	if (is_standard(log))
		return;
	snprintf(path, sizeof path, "%s%s%s", log[0] != '/' ? folder : "", log[0] != '/' ? "/" : "", log);
	cut(path);
	snprintf(whole, sizeof whole, "%s%s", root, path);
	bool is_whole = strpbrk(log, "%{") == NULL;
	if (is_whole && stat(whole, &status) == 0) {
		error = S_ISDIR(status.st_mode) ? -EISDIR : check(writer, root, path, W_OK);
	} else {
		if (is_whole)
			leave(path);
		error = check(writer, root, path, W_OK | X_OK);
	}
	sheet_text(sheet, "log", "folder", path);
	if (error == 0)
		return;
	sheet_set(sheet, "log", "is_writable", json_false());
	sheet_set(sheet, "log", "is_missing", json_boolean(error == -ENOENT));
	sheet_set(sheet, "log", "is_denied", json_boolean(error == -EACCES));
	sheet_find(sheet, SHEET_BAR, "log", "user %s cannot write the log %s: %s: %s", writer->name, log,
	        path, strerror(-error));
}
