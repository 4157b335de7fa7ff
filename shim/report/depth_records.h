/* SPDX-License-Identifier: MIT */
/*
 * The `depth` records: how deep stacks were used. A few stacks are looked at while the program runs, each before it is
 * given back, and more at exit. One thread at a time, as in journal.h.
 */
#ifndef COPOOL_REPORT_DEPTH_RECORDS_H
#define COPOOL_REPORT_DEPTH_RECORDS_H

#include "report/line.h"

#include <stdbool.h>

/* A log was opened. `is_private`: the calling thread has a descriptor table of its own. */
void depth_records_begin(bool is_private);

/* Forgets everything; in a fork's child, before depth_records_begin. */
void depth_records_forget(void);

/* Before idle objects may be given back: arranges that their stacks are looked at first. */
void depth_records_attend(void);

/*
 * At a sample, or at exit (`is_final`): looks at stacks, and calls `write` for each record that is due, built in
 * `line`.
 */
void depth_records_write(struct line *line, uint64_t uptime_ms, bool is_final, int (*write)(void));

/* Stops looking: until depth_records_begin, or for good. */
void depth_records_pause(void);
void depth_records_end(void);

#endif
