/* SPDX-License-Identifier: MIT */
/* Reads the kernel's counters: how often, and for how long, memory was short. */
#include "report/pressure.h"

#include "system/cgroup.h"
#include "system/clock.h"
#include "system/warn.h"
#include "pool/pool.h"
#include "pool/upkeep.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STALLED_SHARE = 10, LOOK_MS = 900 };

static int open_of_machine(const char *root)
{
	char path[PATH_MAX];
	int bytes = snprintf(path, sizeof path, "%s/proc/pressure/memory", root);

	return bytes > 0 && (size_t)bytes < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* The number after a word; 0 if the word is missing. */
static uint64_t number_after(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at != NULL ? strtoull(at + strlen(word), NULL, 10) : 0;
}

/* memory.events has a line "high N" and a line "max N"; memory.failcnt has only a number. */
static uint64_t events_of(const char *text)
{
	if (text[0] >= '0' && text[0] <= '9')
		return strtoull(text, NULL, 10);
	return number_after(text, "high ") + number_after(text, "max ");
}

/* The first line is for the time in which some tasks waited. */
static uint64_t stalled_of(const char *text)
{
	return number_after(text, "total=");
}

/* Updates a count from its file. Returns by how much it grew: 0 if the file cannot be read. */
static uint64_t growth(int fd, uint64_t (*number_of)(const char *text), uint64_t *count)
{
	char text[CGROUP_TEXT_BYTES];
	uint64_t before = *count;

	if (cgroup_read(fd, text))
		*count = number_of(text);
	return *count > before ? *count - before : 0;
}

void pressure_open(struct pressure *pressure, const char *root)
{
	*pressure = (struct pressure)PRESSURE_INIT;
	pressure->events_fd = cgroup_open(root, "memory.events", "memory.failcnt");
	pressure->stalled_fd = cgroup_open(root, "memory.pressure", NULL);
	/* A group with a limit of its own is not concerned by what others on the machine wait for. */
	if (pressure->stalled_fd < 0 && cgroup_memory_limit(root) == UINT64_MAX)
		pressure->stalled_fd = open_of_machine(root);
	pressure_is_felt(pressure, 0);
	if (pressure->events_fd < 0 && cgroup_is_denied(root))
		warn_later(
		        "the files of the control group may not be opened: its memory limit is not known, and nothing is given back when its memory is short");
}

bool pressure_is_felt(struct pressure *pressure, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - pressure->looked_ms;
	uint64_t events = growth(pressure->events_fd, events_of, &pressure->events);
	uint64_t stalled_us = growth(pressure->stalled_fd, stalled_of, &pressure->stalled_us);

	pressure->looked_ms = now_ms;
	return events > 0 || stalled_us / 1000 * STALLED_SHARE > passed_ms;
}

void pressure_relieve(struct pressure *pressure)
{
	uint64_t now = clock_now_ms();
	bool is_felt;

	if (!pool_has_spare()) {
		pressure->state = MEMORY_UNKNOWN;
		return;
	}
	if (pressure->state != MEMORY_UNKNOWN && now - pressure->looked_ms < LOOK_MS)
		return;
	is_felt = pressure_is_felt(pressure, now) && pressure->state != MEMORY_UNKNOWN;
	if (is_felt)
		pool_relieve(pressure->state == MEMORY_FINE);
	pressure->state = is_felt ? MEMORY_SHORT : MEMORY_FINE;
}
