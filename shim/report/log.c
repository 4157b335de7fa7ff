/* Opening, watching and appending to the log's file. */
#include "report/log.h"

#include <errno.h>
#include <fcntl.h>
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

static int expand(char *path, const char *setting, const char *start_dir)
{
	size_t used = 0;
	int error = 0;

	path[0] = '\0';
	if (setting[0] != '/') {
		error = start_dir[0] == '/' ? append(path, &used, start_dir) : -ENOENT;
		if (error == 0)
			error = append(path, &used, "/");
	}
	for (; *setting != '\0' && error == 0; setting++) {
		char text[16] = {*setting};

		if (*setting != '%') {
			error = append(path, &used, text);
			continue;
		}
		setting++;
		if (*setting == 'n') {
			error = append(path, &used, program_invocation_short_name);
			continue;
		}
		if (*setting == 'p')
			snprintf(text, sizeof text, "%d", (int)getpid());
		else if (*setting != '%')
			return -EINVAL;
		error = append(path, &used, text);
	}
	return error;
}

int log_init(struct log *log, const char *setting, const char *start_dir, bool is_private)
{
	*log = (struct log){.standard = -1, .fd = -1, .is_private = is_private};
	if (strcmp(setting, "stdout") == 0)
		log->standard = STDOUT_FILENO;
	else if (strcmp(setting, "stderr") == 0)
		log->standard = STDERR_FILENO;
	else
		return expand(log->path, setting, start_dir);
	return 0;
}

/* Opens the path, never as one of the standard descriptors. */
static int open_path(const char *path)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, flags, 0640), moved;

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

/* What must not be written to, though it can be opened. */
static int check(struct log *log, int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (S_ISBLK(status.st_mode))
		return -ENOTSUP;
	log->device = status.st_dev;
	log->inode = status.st_ino;
	return 0;
}

static int reopen(struct log *log)
{
	int error, fd;

	if (log->standard >= 0)
		return fcntl(log->standard, F_GETFL) < 0 ? -errno : 0;
	fd = open_path(log->path);
	if (fd < 0)
		return fd;
	error = check(log, fd);
	if (error != 0) {
		close(fd);
		return error;
	}
	log_close(log);
	log->fd = fd;
	return 0;
}

int log_open(struct log *log)
{
	int error = reopen(log);

	if (!log->is_private)
		log_close(log);
	return error;
}

void log_refresh(struct log *log)
{
	struct stat status;

	if (log->standard >= 0 || !log->is_private)
		return;
	if (log->fd < 0 || stat(log->path, &status) != 0 || status.st_dev != log->device ||
	        status.st_ino != log->inode)
		reopen(log); /* where that fails, what is open still serves */
}

/* Writes all of it, or says how much. */
static size_t write_all(int fd, const char *text, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t wrote = write(fd, text + done, bytes - done);

		if (wrote <= 0 && !(wrote < 0 && errno == EINTR))
			break;
		if (wrote > 0)
			done += wrote;
	}
	return done;
}

bool log_write(struct log *log, const char *line, size_t bytes)
{
	size_t done = 0;
	int fd;

	if (log->standard < 0 && log->fd < 0)
		reopen(log);
	fd = log->standard >= 0 ? log->standard : log->fd;
	/* A line that was cut off is ended, so that readers lose it alone. */
	if (fd >= 0 && (!log->is_mid_line || write_all(fd, "\n", 1) == 1)) {
		log->is_mid_line = false;
		done = write_all(fd, line, bytes);
	}
	if (done > 0 && done < bytes)
		log->is_mid_line = true;
	if (!log->is_private)
		log_close(log);
	log->lost += done < bytes;
	return done == bytes;
}

void log_close(struct log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}
