/* SPDX-License-Identifier: MIT */
/*
 * The settings in force, and where each comes from: /etc/copool.conf, then the files *.conf in /etc/copool.d by name, then
 * the environment. libcopool(7) describes the files. The library reads them at its start, and `copool` to explain them; for
 * a running process from /proc/PID/root, with that process's environment.
 *
 *	# Nothing is pooled, but in these programs.
 *	host = off
 *
 *	[program qemu-system-*]
 *	host = auto
 *	log = /var/log/copool/{label}.jsonl
 *
 *	[label guest-7]
 *	decay_ms = 60000
 *
 * The value of the highest rank counts, and among those of one rank the last one that was read. Nothing is allocated, no
 * lock is taken, and nothing fails: what is wrong is told and left out.
 */
#ifndef COPOOL_SETTINGS_FILES_H
#define COPOOL_SETTINGS_FILES_H

#include "settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SETTINGS_FILE   "/etc/copool.conf"
#define SETTINGS_FOLDER "/etc/copool.d"

enum {
	SETTINGS_FILES_MOST = 32,        /* in the folder */
	SETTINGS_NAME_BYTES = 64,        /* of the name of a file in there, with its end */
	SETTINGS_FILE_BYTES = 64 * 1024, /* of a file */
	SETTINGS_LINE_BYTES = 1024,      /* of a line, with its end */
	SETTINGS_TOLD_MOST = 8,          /* wrong lines and files, one by one; others are only counted */
	SETTINGS_SOURCE_BYTES = 320,     /* of where a value comes from; more is cut */
	SETTINGS_FILE_PATH_BYTES = SETTINGS_PATH_BYTES + SETTINGS_NAME_BYTES,
};

/* What a value holds for: the higher wins. */
enum settings_rank {
	SETTINGS_DEFAULT,
	SETTINGS_EVERY,   /* before the first section of a file: every program */
	SETTINGS_PROGRAM, /* [program NAME] */
	SETTINGS_LABEL,   /* [label NAME] */
	SETTINGS_ENVIRONMENT,
};

struct settings_source {
	unsigned char rank, file; /* of a file: 0, or 1 + its place in `name` */
	unsigned short line;
};

struct settings_reading {
	/* The caller sets these; all others are 0. */
	const char *program; /* its name without folders */
	const char *guest;   /* its label if no setting gives one; "" or NULL: none */
	const char *root;    /* of another process: "/proc/PID/root", or "" for ours; NULL: this process */
	uid_t user;          /* as whom it runs: its files are good, root's, and the root folder's owner's */
	bool reads_none;     /* no file is read */
	bool checks_all;     /* also what is wrong in sections for others is told */

	/* A variable of the environment; NULL: it is not set. */
	char *(*variable)(const char *name);

	/* Takes a good value, which replaces an earlier one. NULL: the default, which a file has asked for. */
	void (*take)(void *context, enum setting_place place, const char *value);

	/* Is told what is wrong, a sentence without a newline; may be NULL. */
	void (*tell)(void *context, const char *text);
	void *context;

	/* The result. */
	struct settings_source source[SETTINGS_ALL];
	unsigned wrong; /* lines and files */

	/* What was read: the path that COPOOL_CONFIG gives, or ""; the names of the files in the folder, sorted. */
	char path[SETTINGS_PATH_BYTES];
	char name[SETTINGS_FILES_MOST][SETTINGS_NAME_BYTES];
	unsigned names;
	char label[SETTINGS_LABEL_BYTES];
	bool has_labels; /* a file has a section for a label */
};

/* Below a root of another process, a symbolic link with an absolute path leads to the caller's own files. */
void settings_files_read(struct settings_reading *reading);

/*
 * Writes where the setting's value comes from: "FILE:LINE", "environment" or "default" to `text`, which has
 * SETTINGS_SOURCE_BYTES. Returns `text`.
 */
const char *settings_files_source(
        const struct settings_reading *reading, enum setting_place place, char *text);

/* The parts of the reader: the path of a file (SETTINGS_FILE_PATH_BYTES); what is wrong with it, or with a line if not 0. */
void settings_files_path(const struct settings_reading *reading, unsigned file, char *path);
void settings_files_tell(struct settings_reading *reading, const char *path, unsigned line, const char *text);

#endif
