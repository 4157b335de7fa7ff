/* SPDX-License-Identifier: MIT */
/*
 * A pool makes no more objects than are alive at once. How many were alive is seen only at each look, so all objects
 * that were made between two looks count as alive together, with those before them. The estimate is on the safe side:
 * copool would have made fewer.
 */
#include "judge/outlook.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compare/verdict.h"

void outlook_add(struct outlook *outlook, uint64_t creates, uint64_t made, uint64_t ended)
{
	int64_t before = (int64_t)(outlook->made - outlook->ended);
	int64_t after = (int64_t)(made - ended);
	uint64_t new = made - outlook->made;

	outlook->least = before < outlook->least ? before : outlook->least;
	uint64_t together = (uint64_t)(before - outlook->least) + new;
	outlook->needed = together > outlook->needed ? together : outlook->needed;
	outlook->least = after < outlook->least ? after : outlook->least;
	outlook->made = made;
	outlook->ended = ended;
	outlook->creates = creates > made ? creates : made;
}

uint64_t outlook_saved(const struct outlook *outlook)
{
	return outlook->needed < outlook->made ? outlook->made - outlook->needed : 0;
}

double outlook_saved_seconds(const struct outlook *outlook)
{
	return (double)outlook_saved(outlook) * outlook->stack_ns / 1e9;
}

static void say_time(const struct outlook *outlook, char *text, size_t bytes)
{
	double saved = outlook_saved_seconds(outlook);

	if (saved <= 0 || outlook->seconds <= 0) {
		*text = '\0';
		return;
	}
	snprintf(text, bytes,
	        ": about %.2g s of CPU time in %.3g s (%.2g %% of one processor; the process used %.3g s)",
	        saved, outlook->seconds, saved / outlook->seconds * 100, outlook->cpu_seconds);
}

bool outlook_find(const struct outlook *outlook, char *text)
{
	uint64_t saved = outlook_saved(outlook);
	double creates = (double)outlook->creates;
	char time[160];

	say_time(outlook, time, sizeof time);
	if (outlook->creates == 0) {
		snprintf(text, OUTLOOK_TEXT,
		        "copool saw it create no coroutines in this time; observe it while it has work, or for "
		        "longer (--for)");
		return false;
	}
	if (!verdict_is_worth(
	            creates, (double)outlook->made / creates, (double)(outlook->made - saved) / creates)) {
		snprintf(text, OUTLOOK_TEXT, "does not help: %s%.3g %% of its %" PRIu64 " creates were new%s",
		        outlook->made * 100 < outlook->creates ? "only " : "",
		        (double)outlook->made / creates * 100, outlook->creates,
		        outlook->made > 0 ? ", hardly more than were alive at once" : "");
		return false;
	}
	snprintf(text, OUTLOOK_TEXT,
	        "helps: %.3g %% of its %" PRIu64
	        " creates were new; copool would have served at least %" PRIu64 " of those %" PRIu64 "%s",
	        (double)outlook->made / creates * 100, outlook->creates, saved, outlook->made, time);
	return true;
}
