/* SPDX-License-Identifier: MIT */
/* What records say of the pools and of how the program is served. */
#include "report/pool_records.h"

#include "config.h"
#include "system/self.h"
#include "pool/control.h"
#include "pool/pool.h"
#include "pool/stats.h"
#include "report/confinement.h"
#include "report/line.h"
#include "report/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VALUE_BYTES = 160 }; /* of a setting, in the record `open`; more is cut */

/* For strings(1): which copool a file is. */
__attribute__((used)) static const char mark[] = "libcopool " COPOOL_VERSION " (" COPOOL_COMMIT ")";

/* The cap on the depots. Most adapters make their pools only when they are first needed. */
static unsigned cap(const struct config *config, const struct report_service *service)
{
	if (pool_count() > 0)
		return control_limit(pool_at(0)->max_batches);
	if (config->max_batches != BATCHES_DERIVED)
		return config->max_batches;
	if (service->cap != 0)
		return service->cap;
	return strcmp(service->mode, "none") == 0 ? 0 : pool_cap_bearable(POOL_OBJECT_MAPS, 0);
}

static void put_way(struct line *line, const struct report_service *service)
{
	line_text(line, "mode", service->mode);
	line_text(line, "way", service->way);
	line_text(line, "detail", service->detail);
}

void pool_records_way(struct line *line, const struct report_service *service)
{
	line_begin(line, RECORD_WAY);
	put_way(line, service);
}

/* Two lists of the same length: what was set, and where. */
static void put_settings(struct line *line, const struct config *config)
{
	char text[SETTINGS_SOURCE_BYTES], value[VALUE_BYTES];

	line_list_begin(line, "settings");
	for (unsigned i = 0; i < SETTINGS_ALL; i++) {
		if (config_source(i, text) == NULL)
			continue;
		config_value(config, i, value, sizeof value);
		snprintf(text, sizeof text, "%s=%s", settings[i].name, value);
		line_list_add(line, text);
	}
	line_list_end(line);
	line_list_begin(line, "sources");
	for (unsigned i = 0; i < SETTINGS_ALL; i++) {
		if (config_source(i, text) != NULL)
			line_list_add(line, text);
	}
	line_list_end(line);
}

/* Only of a program that is served, or should be: of others nothing is read. */
static void put_confinement(struct line *line, const struct report_service *service)
{
	char text[CONFINEMENT_BYTES];

	if (strcmp(service->mode, "none") == 0 && !service->has_failed)
		return;
	confinement_say(text);
	if (text[0] != '\0')
		line_text(line, "confined", text);
}

void pool_records_open(
        struct line *line, const struct config *config, const struct report_service *service, pid_t parent)
{
	line_begin(line, RECORD_OPEN);
	line_number(line, "format", RECORD_FORMAT);
	line_text(line, "version", COPOOL_VERSION);
	if (COPOOL_COMMIT[0] != '\0')
		line_text(line, "commit", COPOOL_COMMIT);
	line_text(line, "program", self_name());
	if (self_label()[0] != '\0')
		line_text(line, "label", self_label());
	line_text(line, "host", service->name);
	put_way(line, service);
	line_number(line, "ppid", (uint64_t)parent);
	line_number(line, "interval_ms", config->interval_ms);
	line_number(line, "max_batches", cap(config, service));
	line_number(line, "decay_ms", config->decay_ms);
	line_number(line, "page_bytes", (uint64_t)sysconf(_SC_PAGESIZE));
	put_confinement(line, service);
	put_settings(line, config);
}

void pool_records_name(struct line *line, const struct pool *pool)
{
	line_text(line, "pool", pool_name(pool));
	if (pool->kind->owner_name != NULL)
		line_text(line, "owner", pool->kind->owner_name);
	if (pool->kind->part_of != NULL)
		line_text(line, "part_of", pool->kind->part_of);
}

void pool_records_counters(struct line *line, const char *type, struct pool *pool, uint64_t uptime_ms)
{
	struct pool_stats stats;

	pool_read(pool, &stats);
	line_begin(line, type);
	line_number(line, "uptime_ms", uptime_ms);
	pool_records_name(line, pool);
#define ADD(name, kind, help) line_number(line, #name, stats.name);
	RECORD_COUNTERS(ADD)
#undef ADD
}
