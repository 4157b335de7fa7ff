/* SPDX-License-Identifier: MIT */
/* A look at a stack of 2 MiB takes the statistics thread about 3 us. That limits how many it looks at. */
#include "report/depth_records.h"

#include "libc/real.h"
#include "pool/pool.h"
#include "report/pool_records.h"
#include "stack/depth.h"

#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LOOKS = 64, LOOKS_MS = 1000, LAST_LOOKS = 2048 };

static struct {
	bool is_on;
	int pagemap;
	uint64_t look_ms; /* the uptime at which the next looks are due */
	struct {
		uint64_t stacks, deepest; /* as last written */
	} written[POOL_MAX];
} depths = {.pagemap = DEPTH_NO_PAGEMAP};

void depth_records_begin(bool is_private)
{
	/* The program's own table must have no descriptor of ours. */
	depths.pagemap = is_private ? depth_open() : DEPTH_NO_PAGEMAP;
	/* An inherited filter may kill the process for mincore: systemd's @system-service does not list it. */
	depths.is_on = depths.pagemap != DEPTH_NO_PAGEMAP ||
	               real_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_DISABLED;
}

void depth_records_forget(void)
{
	depths.is_on = false;
	depths.pagemap = DEPTH_NO_PAGEMAP;
	depths.look_ms = 0;
	for (unsigned i = 0; i < POOL_MAX; i++)
		depths.written[i].stacks = depths.written[i].deepest = 0;
}

void depth_records_attend(void)
{
	for (unsigned i = 0; depths.is_on && i < pool_count(); i++) {
		struct arena_class *stacks = pool_at(i)->kind->stacks;

		if (stacks != NULL)
			depth_attend(stacks, depths.pagemap);
	}
}

static void put_buckets(struct line *line, const struct depth_summary *summary)
{
	char key[32];

	for (unsigned i = 0; i < DEPTH_BUCKETS; i++) {
		if (summary->bucket[i] == 0)
			continue;
		snprintf(key, sizeof key, RECORD_DEPTH_TO "%llu", (unsigned long long)depth_bucket_bytes(i));
		line_number(line, i < DEPTH_BUCKETS - 1 ? key : RECORD_DEPTH_BEYOND, summary->bucket[i]);
	}
}

static void put_record(
        struct line *line, const struct pool *pool, uint64_t uptime_ms, const struct depth_summary *summary)
{
	line_begin(line, RECORD_DEPTH);
	line_number(line, "uptime_ms", uptime_ms);
	pool_records_name(line, pool);
#define ADD(name, help) line_number(line, #name, summary->name);
	RECORD_DEPTHS(ADD)
#undef ADD
	put_buckets(line, summary);
}

/* Whether it has changed enough for another record: so even a long log has few of them. */
static bool is_news(unsigned number, const struct depth_summary *summary)
{
	return summary->deepest > depths.written[number].deepest ||
	       summary->stacks >= 2 * depths.written[number].stacks;
}

void depth_records_write(struct line *line, uint64_t uptime_ms, bool is_final, int (*write)(void))
{
	struct depth_summary summary;

	if (!depths.is_on || (!is_final && uptime_ms < depths.look_ms))
		return;
	depths.look_ms = uptime_ms + LOOKS_MS;
	depth_records_attend();
	for (unsigned i = 0; i < pool_count(); i++) {
		struct arena_class *stacks = pool_at(i)->kind->stacks;

		if (stacks == NULL)
			continue;
		depth_survey(stacks, is_final ? LAST_LOOKS : LOOKS);
		if (!depth_summarize(stacks, &summary) || (!is_final && !is_news(i, &summary)))
			continue;
		put_record(line, pool_at(i), uptime_ms, &summary);
		if (write() == 0) {
			depths.written[i].stacks = summary.stacks;
			depths.written[i].deepest = summary.deepest;
		}
	}
}

void depth_records_pause(void)
{
	for (unsigned i = 0; depths.is_on && i < pool_count(); i++) {
		if (pool_at(i)->kind->stacks != NULL)
			depth_leave(pool_at(i)->kind->stacks);
	}
	if (depths.pagemap != DEPTH_NO_PAGEMAP)
		close(depths.pagemap);
	depths.pagemap = DEPTH_NO_PAGEMAP;
}

void depth_records_end(void)
{
	depth_records_pause();
	depth_records_forget();
}
