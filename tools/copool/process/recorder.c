/* SPDX-License-Identifier: MIT */
/*
 * Between two samples the depot is read some times more, for the fewest and the most batches in it. The process's own
 * extremes cannot be used: its own log resets them.
 */
#include "process/recorder.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log/book.h"
#include "clean.h"
#include "progress.h"
#include "process/ending.h"
#include "process/peek.h"
#include "report/record.h"
#include "report/record_block.h"

enum { LOOKS = 8, LOOK_LEAST_MS = 10, NAP_MS = 100 };

/* The depots since the previous sample, in the order of the pools. */
struct extremes {
	json_int_t low[POOL_MAX], high[POOL_MAX];
	size_t pools;
};

bool recorder_seconds(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return end != text && !*end && *seconds >= 0.1 && *seconds <= 1e8;
}

static void look_at_depots(const json_t *samples, struct extremes *seen)
{
	json_t *sample;
	size_t i;

	json_array_foreach(samples, i, sample)
	{
		json_int_t batches = book_counter(sample, "depot_batches");

		if (i >= seen->pools)
			seen->low[i] = seen->high[i] = batches;
		seen->low[i] = batches < seen->low[i] ? batches : seen->low[i];
		seen->high[i] = batches > seen->high[i] ? batches : seen->high[i];
	}
	seen->pools = json_array_size(samples);
}

static int take(struct recorder *recorder, json_t *record)
{
	int error = recorder->take(recorder->context, record);

	if (error)
		fprintf(stderr, "copool %s: cannot write: %s\n", recorder->verb, strerror(-error));
	return error ? 1 : 0;
}

static int take_samples(struct recorder *recorder, json_t *samples, struct extremes *seen)
{
	json_t *sample;
	size_t i;
	int status = 0;

	json_array_foreach(samples, i, sample)
	{
		json_object_set_new(sample, "depot_low", json_integer(seen->low[i]));
		json_object_set_new(sample, "depot_high", json_integer(seen->high[i]));
		status = status ? status : take(recorder, sample);
	}
	recorder->samples++;
	seen->pools = 0;
	look_at_depots(samples, seen);
	return status;
}

/* Returns 0; or 1 after a message: the process cannot be looked into, or the record cannot be written. */
static int begin(struct recorder *recorder)
{
	json_t *open = remote_open(&recorder->remote, recorder->pid) == 0
	                       ? remote_open_record(&recorder->remote)
	                       : NULL;
	int status;

	if (open == NULL) {
		fprintf(stderr, "copool %s: %s\n", recorder->verb, recorder->remote.why);
		return 1;
	}
	json_object_set_new(open, "interval_ms", json_integer(recorder->interval_ms));
	status = take(recorder, open);
	json_decref(open);
	return status;
}

/* The pools as they are now. NULL: the process has ended or cannot be read, see `remote.why`. */
static json_t *look(struct recorder *recorder, int *status)
{
	json_t *samples = remote_samples(&recorder->remote);

	if (samples != NULL)
		return samples;
	/* Perhaps it has become another program, by exec. */
	if (ending_signal() || remote_open(&recorder->remote, recorder->pid) != 0) {
		recorder->has_ended = true;
		return NULL;
	}
	*status = begin(recorder);
	return *status ? NULL : remote_samples(&recorder->remote);
}

static void show_progress(const struct recorder *recorder, uint64_t ms)
{
	if (recorder->seconds > 0)
		progress_say("%.0f of %.0f s, %llu samples", (double)ms / 1000, recorder->seconds,
		        recorder->samples);
	else
		progress_say("%.0f s, %llu samples; ctrl-c ends it", (double)ms / 1000, recorder->samples);
}

static void nap_until(uint64_t next_ms)
{
	for (uint64_t now; !ending_signal() && (now = clock_now_ms()) < next_ms;)
		poll(NULL, 0, next_ms - now < NAP_MS ? (int)(next_ms - now) : NAP_MS);
}

/* Notes in the log that the process did not write it. */
static int take_note(struct recorder *recorder)
{
	char text[REMOTE_WHY + 128];
	const char *end = recorder->has_ended ? "until the process ended, whose last counters are unknown"
	                                      : "and the process went on";

	snprintf(text, sizeof text, "recorded from outside by copool %s, %s", recorder->verb, end);
	if (recorder->has_ended && recorder->remote.error != -ESRCH)
		snprintf(text, sizeof text, "recorded from outside by copool %s, until %s", recorder->verb,
		        recorder->remote.why);
	json_t *note = json_pack("{s:s, s:f, s:i, s:s}", RECORD_KEY_TYPE, RECORD_WARNING, RECORD_KEY_TIME,
	        (double)time(NULL), RECORD_KEY_PID, (int)recorder->pid, "text", text);
	int status = take(recorder, note);
	json_decref(note);
	return status;
}

int recorder_run(struct recorder *recorder)
{
	unsigned every = recorder->interval_ms / LOOKS;
	uint64_t began = clock_now_ms(), sample_ms = began, now = began;
	struct extremes seen = {.pools = 0};
	int status = begin(recorder);

	progress_begin();
	every = every > LOOK_LEAST_MS ? every : LOOK_LEAST_MS;
	while (status == 0 && !ending_signal()) {
		json_t *samples = look(recorder, &status);
		now = clock_now_ms();
		bool is_over = recorder->seconds > 0 && (double)(now - began) >= recorder->seconds * 1000;
		if (samples != NULL) {
			look_at_depots(samples, &seen);
			if (now >= sample_ms || is_over) {
				status = take_samples(recorder, samples, &seen);
				sample_ms = now - sample_ms > recorder->interval_ms
				                    ? now + recorder->interval_ms
				                    : sample_ms + recorder->interval_ms;
			}
			json_decref(samples);
		}
		if (is_over || recorder->has_ended)
			break;
		show_progress(recorder, now - began);
		uint64_t next = now + every < sample_ms ? now + every : sample_ms;
		uint64_t end =
		        recorder->seconds > 0 ? began + (uint64_t)(recorder->seconds * 1000) : UINT64_MAX;
		nap_until(next < end ? next : end);
	}
	progress_end();
	return status ? status : take_note(recorder);
}
