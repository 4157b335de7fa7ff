/* SPDX-License-Identifier: MIT */
/* The call stacks of misses in logs: the most frequent ones, in bounded memory. */
#ifndef COPOOL_TOOLS_LOG_ORIGINS_H
#define COPOOL_TOOLS_LOG_ORIGINS_H

#include "log/book.h"

enum { ORIGINS = 2048 }; /* kept; of more, the rarest are left out */

struct origins {
	json_t *record[ORIGINS];
	size_t count;
	unsigned long long left_out;
};

/* Has `book` fill `origins` as it reads. */
void origins_open(struct origins *origins, struct book *book);
void origins_close(struct origins *origins);

#endif
