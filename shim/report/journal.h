/* SPDX-License-Identifier: MIT */
/*
 * The records of the log: what is written, and when. One thread at a time. Nothing here fails: what cannot be written
 * is lost, and a later line says so.
 */
#ifndef COPOOL_REPORT_JOURNAL_H
#define COPOOL_REPORT_JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

struct config;
struct report_service;

/* Takes the settings and how the program is served. Both must stay valid. */
void journal_know(const struct config *config, const struct report_service *service);

/* Begins to measure time: uptime counts from the first call, intervals from each. */
void journal_start_clock(void);

/*
 * Begins again, with an `open` record: in the fork's child of `parent`, or, with 0, in a program that comes to pool
 * something later. From then on nothing is written to the standard error, which may be anything by now.
 */
void journal_reset(pid_t parent);

/*
 * In the constructor: writes the `open` record and the warnings so far. Without a log the warnings go to the standard
 * error. No descriptor stays open.
 */
void journal_announce(void);

/* Whether a process that has nothing to pool writes an `open` record: see report_inert(). */
bool journal_is_told(void);

/*
 * Writes the `open` record if that has not been done; samples follow from now on. `is_private`: the calling thread has
 * a descriptor table of its own, so descriptors may stay open.
 */
void journal_begin(bool is_private);

/* Between journal_announce and journal_begin: writes the warnings since then. */
void journal_tell(void);

/* The calling thread ends; another one will call journal_begin. */
void journal_pause(void);

/* Writes samples if they are due. */
void journal_sample(void);

/*
 * Returns how long to sleep, in milliseconds. Something else is due in `wait_ms` (UINT_MAX: never) and may be
 * `patience_ms` late. If samples are due before that, returns the time until then.
 */
unsigned journal_wait_ms(unsigned wait_ms, unsigned patience_ms);

/* Writes the `final` records, after an `open` record if there was none. */
void journal_end(void);

#endif
