/* SPDX-License-Identifier: MIT */
/* The `origin` records: the recorded stacks, with names. */
#ifndef COPOOL_REPORT_ORIGINS_RECORDS_H
#define COPOOL_REPORT_ORIGINS_RECORDS_H

#include <stdbool.h>

struct line;

/*
 * Builds each record that is due in `line`, and calls `write` for it. At the end (`is_final`) a stack is due if its
 * count has changed since its last record; before, if it is new or its count has doubled. One thread at a time, as in
 * journal.h.
 */
void records_write(struct line *line, int (*write)(void), bool is_final);

/* Around a fork, before pool_fork_prepare and after its two counterparts. */
void records_fork_prepare(void);
void records_fork_parent(void);
void records_fork_child(void);

#endif
