/* SPDX-License-Identifier: MIT */
/* What an idle object of a pool holds in memory, as far as a log says. */
#ifndef COPOOL_TOOLS_LOG_HELD_H
#define COPOOL_TOOLS_LOG_HELD_H

#include "log/book.h"

enum held_how {
	HELD_UNKNOWN, /* objects of the program's own making */
	HELD_GUESSED, /* nobody has looked at its stacks: two pages */
	HELD_SEEN,    /* the mean of the stacks that were looked at */
};

struct held {
	enum held_how how;
	double bytes; /* of one object; 0 when unknown */
};

struct held held_each(const struct book_process *process, size_t pool);

/* A word for JSON: "unknown", "guessed", "seen". */
const char *held_word(enum held_how how);

#endif
