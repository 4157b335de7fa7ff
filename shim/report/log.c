/* SPDX-License-Identifier: MIT */
/* Opens the log's file, watches its path and appends to it. */
#include "report/log.h"

#include "report/path.h"
#include "report/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STANDARD_FDS = 3, PATIENCE_MS = 500 };

static struct {
	bool is_open;
	dev_t device;
	ino_t inode;
} standard[STANDARD_FDS]; /* the constructor writes it */

void log_know_standard(void)
{
	struct stat status;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		standard[fd].is_open = fstat(fd, &status) == 0;
		standard[fd].device = status.st_dev;
		standard[fd].inode = status.st_ino;
	}
}

bool log_is_standard(int fd)
{
	struct stat status;

	return standard[fd].is_open && fstat(fd, &status) == 0 && status.st_dev == standard[fd].device &&
	       status.st_ino == standard[fd].inode;
}

int log_init(struct log *log, const char *setting, const char *start_dir, bool is_private)
{
	*log = (struct log){.standard = -1, .fd = -1, .is_private = is_private};
	if (strcmp(setting, "stdout") == 0)
		log->standard = STDOUT_FILENO;
	else if (strcmp(setting, "stderr") == 0)
		log->standard = STDERR_FILENO;
	else
		return path_expand(log->path, setting, start_dir);
	return 0;
}

/*
 * Whether the file ends in the middle of a line: its writer was killed. If another process is just writing it, this
 * looks the same, and the log gets an empty line more.
 */
static bool ends_mid_line(const struct log *log)
{
	int fd = path_open(log->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	struct stat status;
	char last = '\n';

	if (fd < 0)
		return false;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
	        pread(fd, &last, 1, status.st_size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

/* Takes the opened file, unless it is one that must not be written to. */
static int adopt(struct log *log, int fd)
{
	struct stat status;
	int error;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (S_ISBLK(status.st_mode))
		return -ENOTSUP;
	error = path_check_owner(log->path, &status);
	if (error != 0)
		return error;
	if (status.st_dev != log->device || status.st_ino != log->inode)
		log->is_mid_line = S_ISREG(status.st_mode) && status.st_size > 0 && ends_mid_line(log);
	log_close(log);
	log->fd = fd;
	log->device = status.st_dev;
	log->inode = status.st_ino;
	return 0;
}

static int reopen(struct log *log)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int error, fd;

	if (log->standard >= 0)
		return log_is_standard(log->standard) ? 0 : -EBADF;
	fd = path_open(log->path, flags, 0640);
	if (fd < 0)
		return fd;
	error = adopt(log, fd);
	if (error != 0)
		close(fd);
	return error;
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

	if (log->standard >= 0 || log->fd < 0)
		return;
	if (stat(log->path, &status) == 0 && status.st_dev == log->device && status.st_ino == log->inode)
		return;
	/* If that fails, the old file still serves, as long as it has a name. */
	if (reopen(log) != 0 && fstat(log->fd, &status) == 0 && status.st_nlink == 0)
		log_close(log);
}

/*
 * Writes to a pipe, terminal or file that others may use; waits at most `wait_ms` until it can take something. Returns
 * 0 or -errno; `done` is how many bytes were written.
 */
static int write_all(int fd, const char *text, size_t bytes, int wait_ms, size_t *done)
{
	struct pollfd waiting = {.fd = fd, .events = POLLOUT};

	*done = 0;
	/* A pipe is ready if it has room for a page, which is more than a line. Else write() would block. */
	if (poll(&waiting, 1, wait_ms) == 0)
		return -EAGAIN;
	while (*done < bytes) {
		ssize_t wrote = write(fd, text + *done, bytes - *done);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return wrote < 0 ? -errno : -EIO;
		*done += (size_t)wrote;
	}
	return 0;
}

/* Writes the line. Returns 0 or -errno; `done` is how many bytes of it were written. */
static int append_line(struct log *log, const char *line, size_t bytes, size_t *done)
{
	int error = 0, fd, wait_ms = 0;

	*done = 0;
	if (log->standard >= 0 || log->fd < 0)
		error = reopen(log);
	if (error != 0)
		return error;
	fd = log->standard >= 0 ? log->standard : log->fd;
	if (log->standard >= 0 && log->is_private)
		wait_ms = PATIENCE_MS;
	/* Ends a line that was cut off, so that readers lose only that one. */
	if (log->is_mid_line)
		error = write_all(fd, "\n", 1, wait_ms, done);
	if (error != 0)
		return error;
	log->is_mid_line = false;
	return write_all(fd, line, bytes, wait_ms, done);
}

int log_write(struct log *log, const char *line, size_t bytes)
{
	size_t done;
	int error = append_line(log, line, bytes, &done);

	if (done > 0 && done < bytes)
		log->is_mid_line = true;
	log->written += done;
	if (!log->is_private)
		log_close(log);
	log->lost += error != 0;
	return error;
}

uint64_t log_bytes(const struct log *log)
{
	int fd = log->standard >= 0 ? log->standard : log->fd;
	struct stat status;
	bool is_known = fd >= 0 ? fstat(fd, &status) == 0 : stat(log->path, &status) == 0;

	return is_known && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : log->written;
}

void log_close(struct log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

void log_complain(const char *text)
{
	char said[1024];
	size_t done;
	int bytes = snprintf(said, sizeof said, "copool: %.1000s\n", text);

	/* It must stay one line, whatever a setting's value holds. */
	bytes = (int)utf8_clean(said, (size_t)bytes - 1);
	said[bytes++] = '\n';
	if (log_is_standard(STDERR_FILENO))
		write_all(STDERR_FILENO, said, (size_t)bytes, 0, &done);
}
