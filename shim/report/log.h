/* SPDX-License-Identifier: MIT */
/*
 * The statistics log's file: whole lines, appended. Never blocks, never follows a link in the last part of
 * its path, and is opened again when the path leads to another file (rotation). One thread at a time; the
 * caller owns the struct.
 *
 * A private log keeps its descriptor, in a table that no other thread sees. A log that is not private lives
 * in the host's table, so it is opened for each line and closed again.
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
	uint64_t written; /* bytes, to whatever file */
	unsigned lost;    /* lines that could not be written since one could */
	bool is_mid_line; /* the last line was cut off in the middle */
	/* Absolute and expanded; "" for a standard descriptor. Last: a fork's child writes what comes before. */
	char path[PATH_MAX];
};

/*
 * Remembers which files the standard output and error are; called once, from the constructor. The host may
 * close them and use their numbers for something else, which must never get our bytes.
 */
void log_know_standard(void);

/* Whether the descriptor, 1 or 2, is still what log_know_standard saw. */
bool log_is_standard(int fd);

/* The setting is a path as path_expand() has it, stdout or stderr. Opens nothing. 0 or -errno, as there. */
int log_init(struct log *log, const char *setting, const char *start_dir, bool is_private);

/* Opens it, or sees whether it can be opened. 0 or -errno. */
int log_open(struct log *log);

/* Before lines are written: opens it again if the path leads to another file by now. */
void log_refresh(struct log *log);

/* Appends a line, newline included. 0; or -errno, and it is lost, and counted. */
int log_write(struct log *log, const char *line, size_t bytes);

/* How large the log is: the file, whoever wrote it; or, where that cannot be known, what was written. */
uint64_t log_bytes(const struct log *log);

void log_close(struct log *log);

/* Says a line on the standard error, if that is still what it was, and takes it at once. */
void log_complain(const char *text);

#endif
