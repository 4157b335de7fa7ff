/*
 * The records of how deep stacks were used, and when the looking is done: a few at a time while the program
 * runs, those that are given back, and more at exit. One thread at a time, as in journal.h.
 */
#ifndef COPOOL_REPORT_DEPTHS_H
#define COPOOL_REPORT_DEPTHS_H

#include "report/line.h"

#include <stdbool.h>

/* A log was opened. `is_private`: the calling thread has its own table of descriptors. */
void depths_begin(bool is_private);

/* In a fork's child, before depths_begin. */
void depths_forget(void);

/* Before idle objects may be given back: so that they are looked at first. */
void depths_attend(void);

/*
 * At a sample, and at exit when `is_final`: looks, and has `write` write a record, in `line`, of each pool of
 * which there is news.
 */
void depths_write(struct line *line, uint64_t uptime_ms, bool is_final, int (*write)(void));

/* Nobody looks until depths_begin; or any more. */
void depths_pause(void);
void depths_end(void);

#endif
