/* SPDX-License-Identifier: MIT */
/*
 * The records of how deep stacks were used, and when the looking is done: a few at a time while the program
 * runs, those that are given back, and more at exit. One thread at a time, as in journal.h.
 */
#ifndef COPOOL_REPORT_DEPTH_RECORDS_H
#define COPOOL_REPORT_DEPTH_RECORDS_H

#include "report/line.h"

#include <stdbool.h>

/* A log was opened. `is_private`: the calling thread has its own table of descriptors. */
void depth_records_begin(bool is_private);

/* In a fork's child, before depth_records_begin. */
void depth_records_forget(void);

/* Before idle objects may be given back: so that they are looked at first. */
void depth_records_attend(void);

/*
 * At a sample, and at exit when `is_final`: looks, and has `write` write a record, in `line`, of each pool of
 * which there is news.
 */
void depth_records_write(struct line *line, uint64_t uptime_ms, bool is_final, int (*write)(void));

/* Nobody looks until depth_records_begin; or any more. */
void depth_records_pause(void);
void depth_records_end(void);

#endif
