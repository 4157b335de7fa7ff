/* SPDX-License-Identifier: MIT */
/*
 * The log's file. Appends whole lines. Never blocks, never follows a symbolic link in the last part of its path. Opens
 * the file again when the path leads to another one (log rotation). One thread at a time; the caller owns the struct.
 *
 * A private log keeps its descriptor open, in a descriptor table that no other thread sees. Any other log uses the
 * program's table, so it is opened for each line and closed again.
 */
#ifndef COPOOL_REPORT_LOG_H
#define COPOOL_REPORT_LOG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct log {
	int standard; /* 1 or 2 for the words stdout and stderr, else -1 */
	bool is_private;
	int fd; /* -1: not open */
	dev_t device;
	ino_t inode;
	uint64_t written; /* bytes, to this file and those before it */
	unsigned lost;    /* lines that could not be written since one could */
	bool is_mid_line; /* the last line is incomplete */
	/* Absolute and expanded; "" for a standard descriptor. Last, as a fork's child writes only what comes before. */
	char path[PATH_MAX];
};

/*
 * Remembers which files the standard output and error are; the constructor calls it once. The program may close them
 * and reuse their numbers for other files, which must never get our lines.
 */
void log_know_standard(void);

/* Whether descriptor `fd`, 1 or 2, is still the file that log_know_standard saw. */
bool log_is_standard(int fd);

/* `setting` is stdout, stderr or a path for path_expand(). Opens nothing. Returns 0, or -errno as path_expand(). */
int log_init(struct log *log, const char *setting, const char *start_dir, bool is_private);

/* Opens the file. A log that is not private is closed again. Returns 0 or -errno. */
int log_open(struct log *log);

/* Opens the file again if the path leads to another one by now. The caller should do so before it writes lines. */
void log_refresh(struct log *log);

/* Appends a line that ends in a newline. Returns 0, or -errno if it is lost; lost lines are counted. */
int log_write(struct log *log, const char *line, size_t bytes);

/* The size of the file in bytes; if that cannot be known, how much was written here. */
uint64_t log_bytes(const struct log *log);

void log_close(struct log *log);

/* Writes a line to the standard error, if it is still the same file and does not block. */
void log_complain(const char *text);

#endif
