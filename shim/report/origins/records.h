/* SPDX-License-Identifier: MIT */
/* The `origin` records: the stacks that were recorded, in words. */
#ifndef COPOOL_REPORT_ORIGINS_RECORDS_H
#define COPOOL_REPORT_ORIGINS_RECORDS_H

#include <stdbool.h>

struct line;

/*
 * Makes each record that is due in `line`, and has it written; in the end those whose count has changed since, otherwise those
 * that are new or have doubled. The statistics thread's, or of who takes its place.
 */
void records_write(struct line *line, int (*write)(void), bool is_final);

/* Around fork, as pool_fork_prepare and its like; before them. */
void records_fork_prepare(void);
void records_fork_parent(void);
void records_fork_child(void);

#endif
