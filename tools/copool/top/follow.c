/* SPDX-License-Identifier: MIT */
/* A log that disappears is waited for, since rotation takes it away for a moment. */
#include "top/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int adopt(struct follow *follow, int fd)
{
	struct stat status;

	if (fd < 0 || fstat(fd, &status) != 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	follow->fd = fd;
	follow->device = status.st_dev;
	follow->inode = status.st_ino;
	follow->is_file = S_ISREG(status.st_mode);
	follow->read = 0;
	follow->used = 0;
	follow->is_long = false;
	return 0;
}

static int open_path(const char *path)
{
	return strcmp(path, "-") == 0 ? STDIN_FILENO
	                              : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int follow_open(struct follow *follow, const char *path)
{
	*follow = (struct follow){.path = path, .fd = -1};
	return adopt(follow, open_path(path));
}

void follow_close(struct follow *follow)
{
	if (follow->fd > STDERR_FILENO)
		close(follow->fd);
	follow->fd = -1;
}

static void take_line(struct follow *follow, struct board *board)
{
	json_t *record = NULL;

	if (!follow->is_long && follow->used > 0)
		record = json_loadb(follow->line, follow->used, JSON_REJECT_DUPLICATES, NULL);
	if (record != NULL)
		board_take(board, record);
	else if (follow->used > 0 || follow->is_long)
		board->bad++;
	json_decref(record);
	follow->used = 0;
	follow->is_long = false;
}

static void take_bytes(struct follow *follow, struct board *board, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n')
			take_line(follow, board);
		else if (follow->used < sizeof follow->line)
			follow->line[follow->used++] = bytes[i];
		else
			follow->is_long = true;
	}
}

/* Whether the path leads to another file, or the file has been truncated. */
static bool has_moved(const struct follow *follow)
{
	struct stat status;

	if (!follow->is_file || strcmp(follow->path, "-") == 0)
		return false;
	if (stat(follow->path, &status) != 0)
		return false;
	return status.st_dev != follow->device || status.st_ino != follow->inode ||
	       status.st_size < follow->read;
}

/* Takes what there is. Returns 0 or -errno. */
static int drain(struct follow *follow, struct board *board)
{
	static char bytes[64 << 10];
	ssize_t got;

	for (;;) {
		/* Standard input may block, as it is the caller's. */
		if (!follow->is_file && poll(&(struct pollfd){follow->fd, POLLIN, 0}, 1, 0) <= 0)
			return 0;
		got = read(follow->fd, bytes, sizeof bytes);
		if (got <= 0)
			break;
		follow->read += got;
		take_bytes(follow, board, bytes, (size_t)got);
	}
	return got < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
}

int follow_read(struct follow *follow, struct board *board)
{
	int error = drain(follow, board);

	if (error || !has_moved(follow))
		return error;
	int fd = open_path(follow->path);
	if (fd < 0)
		return 0;
	follow_close(follow);
	error = adopt(follow, fd);
	return error ? error : drain(follow, board);
}
