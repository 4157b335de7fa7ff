/* SPDX-License-Identifier: MIT */
/* The counters of all pools in one sentence. */
#include "report/summary.h"

#include "config.h"
#include "system/clock.h"
#include "system/sandbox.h"
#include "system/self.h"
#include "pool/pool.h"
#include "pool/stats.h"
#include "report/journal.h"
#include "report/log.h"
#include "report/quiet.h"
#include "report/report.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 512 };

static struct {
	const struct report_service *service;
	bool is_unasked; /* no setting asks for the line */
	char text[TEXT_BYTES];
} summary;

static void add(struct pool_stats *sum, const struct pool_stats *more)
{
	sum->create_local += more->create_local;
	sum->create_depot += more->create_depot;
	sum->create_new += more->create_new;
	sum->peak_objects += more->peak_objects;
}

/* What is part of another pool's objects is counted there. Returns how many pools were used. */
static unsigned sum_up(struct pool_stats *sum)
{
	unsigned used = 0;

	*sum = (struct pool_stats){0};
	for (unsigned i = 0; i < pool_count(); i++) {
		struct pool_stats stats;

		pool_read(pool_at(i), &stats);
		sum->calls_saved += stats.calls_saved;
		if (pool_at(i)->kind->part_of != NULL)
			continue;
		add(sum, &stats);
		used += stats.create_local + stats.create_depot + stats.create_new > 0;
	}
	return used;
}

static void write_text(void)
{
	struct pool_stats sum;
	unsigned used = sum_up(&sum);
	unsigned long long creates = sum.create_local + sum.create_depot + sum.create_new,
	                   new = sum.create_new;
	bool is_observed = strcmp(summary.service->mode, "observe") == 0;
	int bytes = snprintf(summary.text, TEXT_BYTES, "%.100s [%d]: ", self_name(), (int)clock_pid());
	char *rest = summary.text + bytes;
	size_t room = TEXT_BYTES - (size_t)bytes;

	if (pool_count() == 0 && strcmp(summary.service->mode, "none") == 0)
		snprintf(rest, room, "nothing was pooled: %s%s", summary.service->detail,
		        summary.is_unasked ? "; copool run --host=auto overrules it" : "");
	else if (used == 0)
		snprintf(rest, room,
		        "nothing was pooled: copool saw no coroutines (stacks from malloc are out of its reach)");
	else if (is_observed)
		snprintf(rest, room,
		        "%llu of %llu creates (%.2f %%) had to be made, at most %llu existed at once; only observed",
		        new, creates, (double)new * 100 / (double)creates,
		        (unsigned long long)sum.peak_objects);
	else
		snprintf(rest, room,
		        "%llu creates in %u pool%s, %llu of them misses (%.2f %%), at most %llu existed at "
		        "once; about %llu system calls saved",
		        creates, used, used == 1 ? "" : "s", new, (double)new * 100 / (double)creates,
		        (unsigned long long)sum.peak_objects, (unsigned long long)sum.calls_saved);
}

static void say(void)
{
	write_text();
	log_complain(summary.text);
}

static bool is_this_process(unsigned id)
{
	return id != 0 && id == (unsigned)clock_pid();
}

/* Whether a settings file switches off the program that `copool run` has started, and no log says so. */
static bool is_off_unawares(const struct config *config)
{
	char source[SETTINGS_SOURCE_BYTES];

	return config->host == CONFIG_HOST_OFF && is_this_process(config->tell) && !journal_is_told() &&
	       config_source(SETTING_host, source) != NULL && strcmp(source, "environment") != 0;
}

void summary_say(const struct config *config, const struct report_service *service)
{
	bool is_asked = config->summary == 1 || is_this_process(config->summary);

	summary.is_unasked = !is_asked;
	if ((!is_asked && !is_off_unawares(config)) || sandbox_is_tight())
		return;
	summary.service = service;
	quietly(say);
}
