/* SPDX-License-Identifier: MIT */
/* How much memory an idle object of a pool uses, as far as a log says. */
#ifndef COPOOL_TOOLS_LOG_HELD_H
#define COPOOL_TOOLS_LOG_HELD_H

#include "log/book.h"

enum held_how {
	HELD_UNKNOWN, /* objects that are not stacks */
	HELD_GUESSED, /* the log has no depths of its stacks: two pages each */
	HELD_SEEN,    /* the mean depth of the stacks that were measured */
};

struct held {
	enum held_how how;
	double bytes; /* of one object; 0 when unknown */
};

struct held held_each(const struct book_process *process, size_t pool);

/* A word for JSON: "unknown", "guessed", "seen". */
const char *held_word(enum held_how how);

#endif
