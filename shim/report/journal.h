/* SPDX-License-Identifier: MIT */
/*
 * What is written, and when it is due: the records of the log. One thread at a time; nothing here fails: what
 * cannot be written is lost, and a later line says so.
 */
#ifndef COPOOL_REPORT_JOURNAL_H
#define COPOOL_REPORT_JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

struct config;
struct report_service;

/* Both must stay valid. */
void journal_know(const struct config *config, const struct report_service *service);

/* Uptime counts from the first call, and intervals from each: the process, or a thread, begins to report. */
void journal_start_clock(void);

/*
 * What was written is forgotten, and another `open` record is due: in a fork's child, whose parent is named,
 * or later in the program's life, with 0. From then on nothing is said on the standard error, which may be
 * anything by now.
 */
void journal_reset(pid_t parent);

/*
 * In the constructor: the `open` record, and what went wrong before; on the standard error if there is no log to say it.
 * Nothing stays open.
 */
void journal_announce(void);

/* Whether a process that has nothing to pool announces itself: see report_inert(). */
bool journal_is_told(void);

/* The same, if it has not been said yet; and from then on samples. `is_private`: the calling thread has its own table of
 * descriptors, and it goes away with that. */
void journal_begin(bool is_private);

/* Between journal_announce and journal_begin: what went wrong since. */
void journal_tell(void);

/* The thread ends, and another will begin again. */
void journal_pause(void);

/* The samples, if they are due. */
void journal_sample(void);

/*
 * How long to wait when something else is due in `wait_ms`, UINT_MAX for never, which may come `patience_ms`
 * late: till then, or, where there is something to write before or soon after, till that.
 */
unsigned journal_wait_ms(unsigned wait_ms, unsigned patience_ms);

/* The `final` records, after an `open` record if there was none. */
void journal_end(void);

#endif
