/* SPDX-License-Identifier: MIT */
/*
 * Writes records into the log when they are due. Without a log, the first warnings go to the standard error. One thread
 * at a time: the statistics thread; while there is none, the constructor, the destructor or the thread that forks.
 */
#include "report/journal.h"

#include "config.h"
#include "system/clock.h"
#include "system/sandbox.h"
#include "system/warn.h"
#include "pool/doubt.h"
#include "pool/pool.h"
#include "pool/control.h"
#include "pool/stats.h"
#include "report/outside_view.h"
#include "report/origins/records.h"
#include "report/confinement.h"
#include "report/depth_records.h"
#include "report/line.h"
#include "report/log.h"
#include "report/path.h"
#include "report/pool_records.h"
#include "report/prometheus.h"
#include "report/report.h"
#include "report/user.h"
#include "report/origins/origins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * If the log's size is limited, samples become rarer as it grows: with each of STEPS parts that are full, half as
 * often. So it hardly ever fills up: 64 MiB last for a day at full resolution, and for a week at one sample a minute.
 */
enum { STEPS = 20, NOTICE_BYTES = 1024, ORIGINS_MS = 1000 };

static struct {
	const struct config *config; /* journal_know writes this and the next two */
	const struct report_service *service;
	const struct report_service *attached; /* the same, unless pooling is switched off now */
	struct report_service off;             /* what takes its place while it is */
	enum {
		UNANNOUNCED,
		ANNOUNCED,
		BEGUN
	} stage;             /* nothing is written yet; `open` was, or could not be; samples are */
	bool is_again;       /* this process has written `open` before, when it had nothing to pool */
	bool has_log;        /* it is wanted and could be opened */
	bool has_series;     /* Prometheus' file is wanted */
	bool is_full;        /* the log is full, and says so */
	bool is_silent;      /* the standard error gets no warnings: it may be anything by now */
	pid_t parent;        /* of a fork's child; else 0 */
	uint64_t start_ms;   /* by clock_now_ms(), as all times here */
	uint64_t sample_ms;  /* when the next samples are due */
	uint64_t written_ms; /* when samples were last written to the log */
	uint64_t blamed_ms;  /* when origins were last written */
	unsigned dropped;    /* warnings that the queue had no room for, as last reported */
	struct log log;      /* last: a fork's child writes all before it, which then may lie in one page */
	struct line line;
} journal;

void journal_know(const struct config *config, const struct report_service *service)
{
	journal.config = config;
	journal.service = journal.attached = service;
}

void journal_start_clock(void)
{
	uint64_t now = clock_now_ms();

	if (journal.start_ms == 0)
		journal.start_ms = journal.written_ms = now;
	journal.sample_ms = now + journal.config->interval_ms;
}

void journal_reset(pid_t parent)
{
	/* A log's descriptor, if there was one, is not in this table. */
	journal.log.fd = -1;
	journal.is_again = parent == 0 && journal.has_log;
	journal.stage = UNANNOUNCED;
	journal.has_log = journal.has_series = false;
	/* As outside_view.c has it: from now on, not from the first use of a pool. */
	journal.start_ms = journal.written_ms = clock_now_ms();
	journal.parent = parent;
	journal.is_silent = true;
	depth_records_forget();
}

static uint64_t limit_bytes(void)
{
	return (uint64_t)journal.config->log_max_kb << 10;
}

static void write_notice(void)
{
	line_begin(&journal.line, RECORD_WARNING);
	line_text(&journal.line, "text",
	        "the log is as large as COPOOL_LOG_MAX_KB lets it be: nothing more is written");
	line_end(&journal.line);
	log_write(&journal.log, journal.line.text, journal.line.used);
}

/* Returns 0, or -errno if the line is lost. */
static int write_line(void)
{
	uint64_t room = UINT64_MAX;

	line_end(&journal.line);
	if (limit_bytes() != 0) {
		uint64_t used = log_bytes(&journal.log);

		room = used < limit_bytes() ? limit_bytes() - used : 0;
	}
	if (journal.line.used + NOTICE_BYTES <= room) {
		journal.is_full = false;
		return log_write(&journal.log, journal.line.text, journal.line.used);
	}
	if (!journal.is_full && room >= NOTICE_BYTES)
		write_notice();
	journal.is_full = true;
	journal.log.lost++;
	return -EFBIG;
}

static int write_warning(const char *text)
{
	line_begin(&journal.line, RECORD_WARNING);
	line_text(&journal.line, "text", text);
	return write_line();
}

static void tell(const char *text, bool complains)
{
	if (complains)
		log_complain(text);
	if (journal.has_log)
		write_warning(text);
}

static void write_lost(void)
{
	unsigned lost = journal.log.lost;
	char text[WARN_BYTES];

	if (lost == 0 || !journal.has_log)
		return;
	snprintf(text, sizeof text, "lines of this log that could not be written: %u", lost);
	/* If that line is lost as well, they are reported later. */
	journal.log.lost = write_warning(text) == 0 ? 0 : lost;
}

/* Writes the warnings since the last call, and how many lines were lost. `complains`: onto the standard error, too. */
static void write_warnings(bool complains)
{
	unsigned dropped = warn_dropped();
	char text[WARN_BYTES];

	while (warn_next(text))
		tell(text, complains);
	if (journal.has_log && user_take_word(text, sizeof text))
		write_warning(text);
	if (dropped != journal.dropped) {
		snprintf(text, sizeof text, "%u warnings came too fast and were lost",
		        dropped - journal.dropped);
		journal.dropped = dropped;
		tell(text, complains);
	}
	write_lost();
}

/* All get the same time, so that samples are as far apart as they are due, however long they take to write. */
static void write_pools(const char *type, uint64_t now)
{
	bool is_final = strcmp(type, RECORD_FINAL) == 0;

	for (unsigned i = 0; i < pool_count(); i++) {
		pool_records_counters(&journal.line, type, pool_at(i), now - journal.start_ms);
		write_line();
		pool_restart_sample(pool_at(i));
	}
	depth_records_write(&journal.line, now - journal.start_ms, is_final, write_line);
}

/* Names the path, too, if the setting does not. */
static void warn_of_log(const char *why, const char *consequence)
{
	bool is_other = journal.log.path[0] != '\0' && strcmp(journal.log.path, journal.config->log) != 0;
	char text[SETTINGS_SOURCE_BYTES];
	const char *name = config_called(SETTING_log, text);

	if (is_other)
		warn("%s=%.120s: %.200s: %s; %s", name, journal.config->log, journal.log.path, why,
		        consequence);
	else
		warn("%s=%.300s: %s; %s", name, journal.config->log, why, consequence);
}

static const char *why_no_log(int error, char text[CONFINEMENT_BYTES])
{
	switch (error) {
	case -EDOM:
		return "after % comes p, n, % or {, and in braces pid, name or label";
	case -ENXIO:
		return "a FIFO that nobody reads, a socket, or no such device";
	case -ELOOP:
		return "a symbolic link at its end is not followed";
	case -PATH_PLANTED:
		return "in a folder that others may write to, it is somebody else's or has a second name";
	default:
		confinement_explain(error, journal.log.path, text);
		return text;
	}
}

/* Opens the log. If it cannot, warns and returns false. */
static bool open_log(bool is_private, const char *consequence)
{
	const struct config *config = journal.config;
	int error = log_init(&journal.log, config->log, config->start_dir, is_private);
	char text[CONFINEMENT_BYTES];

	if (error == 0)
		error = log_open(&journal.log);
	else
		journal.log.path[0] = '\0';
	if (error != 0)
		warn_of_log(why_no_log(error, text), consequence);
	if (error != 0 && journal.parent != 0)
		user_leave_word(-error);
	return error == 0;
}

/* Writes the `open` record and the warnings so far; these go to the standard error if the log cannot take them. */
static void announce(bool is_private)
{
	bool complains = !journal.is_silent && strcmp(journal.config->log, "stderr") != 0;
	int error;

	journal.stage = ANNOUNCED;
	journal.has_log = journal.config->log[0] != '\0' && open_log(is_private, "there will be no log");
	if (journal.has_log) {
		pool_records_open(&journal.line, journal.config, journal.service, journal.parent);
		if (journal.is_again)
			line_number(&journal.line, "again", 1);
		error = write_line();
		complains = complains && error != 0;
		if (error != 0)
			warn_of_log(warn_reason(-error), "lines that cannot be written are lost");
	}
	/* What the record would have said. */
	if (!journal.has_log && journal.config->log[0] != '\0' && journal.service->has_failed)
		warn("%s", journal.service->detail);
	journal.has_series = prometheus_begin(journal.config, journal.service, journal.parent != 0);
	write_warnings(complains);
}

bool journal_is_told(void)
{
	const struct config *config = journal.config;
	bool is_standard = strcmp(config->log, "stderr") == 0 || strcmp(config->log, "stdout") == 0;

	if (config->log[0] == '\0')
		return false;
	return journal.service->has_failed || config->tell == 1 || path_names_process(config->log) ||
	       (config->tell == (unsigned)clock_pid() && !is_standard);
}

void journal_announce(void)
{
	announce(false);
}

void journal_tell(void)
{
	if (journal.has_log)
		write_warnings(false);
}

void journal_begin(bool is_private)
{
	unsigned lost = journal.log.lost;

	origins_begin(is_private);
	if (journal.stage == UNANNOUNCED)
		announce(is_private);
	else if (journal.has_log) {
		/* It could be opened when the program began. */
		open_log(is_private, "it is tried again with each line");
		journal.log.lost = lost;
	}
	journal.stage = BEGUN;
	if (journal.has_log)
		depth_records_begin(is_private);
	write_warnings(false);
}

void journal_pause(void)
{
	log_close(&journal.log);
	/* Nothing may stay open until the next thread begins. */
	journal.log.is_private = false;
	depth_records_pause();
}

/* Whether samples are due, given the log's size. */
static bool is_log_due(uint64_t now)
{
	uint64_t interval = journal.config->interval_ms, wait = interval, limit = limit_bytes();
	uint64_t used = limit != 0 ? log_bytes(&journal.log) : 0;

	if (limit != 0 && used >= limit)
		return false;
	if (limit != 0)
		wait <<= used / (limit / STEPS);
	/* The thread may wake a little early. */
	return now - journal.written_ms + interval / 2 >= wait;
}

/* How the program is served now. */
static const struct report_service *present_service(void)
{
	if (journal.attached->later != NULL && pool_any_withdrawn())
		journal.attached = journal.attached->later;
	if (!pool_is_off() || strcmp(journal.attached->mode, "pool") != 0)
		return journal.attached;
	journal.off = *journal.attached;
	journal.off.mode = "off";
	journal.off.detail = "switched off while it runs (copool off): what is given back is not kept";
	return &journal.off;
}

/* A pool was withdrawn, or pooling was switched off or on: everything that says how the program is served is updated. */
static void note_way(void)
{
	const struct report_service *now = present_service();

	if (now == journal.service)
		return;
	journal.service = now;
	/* The block has a word of its own for `off`. */
	outside_view_tell_service(journal.attached);
	prometheus_tell_way(journal.service);
	if (journal.has_log) {
		pool_records_way(&journal.line, journal.service);
		write_line();
	}
}

/* Rarely: this costs more than counters. */
static void write_origins(uint64_t now)
{
	if (now - journal.blamed_ms < ORIGINS_MS || sandbox_is_tight())
		return;
	records_write(&journal.line, write_line, false);
	journal.blamed_ms = now;
}

void journal_sample(void)
{
	uint64_t now = clock_now_ms();

	note_way();
	depth_records_attend();
	if ((!journal.has_log && !journal.has_series) || now < journal.sample_ms)
		return;
	if (journal.has_series)
		prometheus_write();
	if (journal.has_log) {
		log_refresh(&journal.log);
		write_warnings(false);
	}
	if (journal.has_log && is_log_due(now)) {
		write_pools(RECORD_SAMPLE, now);
		journal.written_ms = now;
		write_origins(now);
	}
	journal.sample_ms = now + journal.config->interval_ms;
}

unsigned journal_wait_ms(unsigned wait_ms, unsigned patience_ms)
{
	uint64_t now = clock_now_ms(), left = journal.sample_ms > now ? journal.sample_ms - now : 0;
	bool is_first = left < (uint64_t)wait_ms + patience_ms;

	return (journal.has_log || journal.has_series) && is_first ? (unsigned)left : wait_ms;
}

void journal_end(void)
{
	if (journal.stage != BEGUN)
		journal_begin(false);
	prometheus_end();
	if (!journal.has_log)
		return;
	log_refresh(&journal.log);
	note_way();
	write_pools(RECORD_FINAL, clock_now_ms());
	records_write(&journal.line, write_line, true);
	write_warnings(false);
	depth_records_end();
	log_close(&journal.log);
}
