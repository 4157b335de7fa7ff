/* SPDX-License-Identifier: MIT */
/* Reads a log that is still being written, like tail -F but without waiting. */
#ifndef COPOOL_TOOLS_TOP_FOLLOW_H
#define COPOOL_TOOLS_TOP_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "report/record.h"
#include "top/board.h"

struct follow {
	const char *path; /* `-' is standard input */
	int fd;
	dev_t device;
	ino_t inode;
	off_t read;   /* bytes of this file */
	bool is_file; /* can be rotated and truncated */
	char line[RECORD_LINE_BYTES];
	size_t used;
	bool is_long; /* the current line is too long: its rest is skipped */
};

/* Returns 0, or -errno. */
int follow_open(struct follow *follow, const char *path);

/*
 * Takes what has been written since the last call, also if the path leads to another file now. Returns 0; or -errno,
 * and the log cannot be read any more.
 */
int follow_read(struct follow *follow, struct board *board);

void follow_close(struct follow *follow);

#endif
