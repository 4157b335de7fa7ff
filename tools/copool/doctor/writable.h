/* SPDX-License-Identifier: MIT */
/* Whether a user could write the log. Nothing is written to find out. */
#ifndef COPOOL_TOOLS_DOCTOR_WRITABLE_H
#define COPOOL_TOOLS_DOCTOR_WRITABLE_H

#include <sys/types.h>

#include "doctor/sheet.h"

enum { WRITABLE_GROUPS = 64 };

/* Who is to write. */
struct writer {
	char name[64]; /* for messages */
	uid_t user;
	gid_t group;
	gid_t groups[WRITABLE_GROUPS]; /* supplementary */
	int group_count;
};

/* Fills in a user of this system, by name or number. Returns 0, or -ENOENT. */
int writer_find(struct writer *writer, const char *name);

/*
 * Checks COPOOL_LOG's value `log` for the writer, below `root` ("" for /), relative to `folder`. The folder counts up
 * to the first part of the path that differs from process to process.
 */
void writable_check(struct sheet *sheet, const struct writer *writer, const char *log, const char *root,
        const char *folder);

#endif
