/* SPDX-License-Identifier: MIT */
#include "top/board.h"

#include <stdio.h>
#include <string.h>

#include "clean.h"
#include "report/record.h"

/* Copies a name as plain ASCII, one column per byte. */
static void keep_name(char to[TRACK_NAME], const char *from)
{
	clean_copy(to, TRACK_NAME, from != NULL ? from : "?");
	for (; *to; to++)
		*to = *to > '~' || *to < ' ' ? '?' : *to;
}

/* Copies a program's name, and its label if it has one. */
static void keep_program(char to[TRACK_NAME], const json_t *open)
{
	const char *label = json_string_value(json_object_get(open, "label"));
	size_t used;

	keep_name(to, json_string_value(json_object_get(open, "program")));
	used = strlen(to);
	if (label != NULL && used + 2 < TRACK_NAME) {
		char whole[TRACK_NAME];

		keep_name(whole, label);
		snprintf(to + used, TRACK_NAME - used, " %.*s", (int)(TRACK_NAME - used - 2), whole);
	}
}

/* A hash of a text (FNV-1a). */
static uint64_t key_of(const char *text)
{
	uint64_t key = 0xcbf29ce484222325;

	for (; *text; text++)
		key = (key ^ (unsigned char)*text) * 0x100000001b3;
	return key;
}

static json_int_t counter(const json_t *record, const char *name)
{
	return json_integer_value(json_object_get(record, name));
}

static struct track *find(struct board *board, json_int_t pid, uint64_t key)
{
	for (size_t i = board->count; i-- > 0;) {
		struct track *track = &board->track[i];
		if (track->pid == pid && !track->is_ended && track->key == key)
			return track;
	}
	return NULL;
}

/* Room for one more; if there is none, that of a process that has ended. */
static struct track *add(struct board *board)
{
	if (board->count < TRACK_MAX)
		return &board->track[board->count++];
	for (size_t i = 0; i < TRACK_MAX; i++) {
		if (board->track[i].is_ended) {
			memmove(&board->track[i], &board->track[i + 1],
			        (TRACK_MAX - 1 - i) * sizeof(struct track));
			return &board->track[TRACK_MAX - 1];
		}
	}
	board->left_out++;
	return NULL;
}

/* The index of the program of a process; TRACK_MAX if its `open` record has not been seen. */
static size_t program_of(const struct board *board, json_int_t pid)
{
	size_t kept = board->programs < TRACK_MAX ? board->programs : TRACK_MAX;

	for (size_t i = 1; i <= kept; i++) {
		size_t at = (board->programs - i) % TRACK_MAX;
		if (board->program[at].pid == pid)
			return at;
	}
	return TRACK_MAX;
}

const char *board_served(const struct board *board, json_int_t pid)
{
	size_t at = program_of(board, pid);

	return at < TRACK_MAX ? board->program[at].served : "";
}

const char *board_settings(const struct board *board, json_int_t pid)
{
	size_t at = program_of(board, pid);

	return at < TRACK_MAX ? board->program[at].settings : "";
}

static void keep_served(struct board *board, size_t at, const json_t *record)
{
	const char *mode = json_string_value(json_object_get(record, "mode"));
	const char *way = json_string_value(json_object_get(record, "way"));
	char text[TRACK_NAME];

	snprintf(text, sizeof text, "%s%s%s", mode != NULL ? mode : "?", way != NULL ? " by " : "",
	        way != NULL ? way : "");
	keep_name(board->program[at].served, text);
}

static void keep_settings(struct board *board, size_t at, const json_t *record)
{
	char *to = board->program[at].settings;
	const json_t *batches = json_object_get(record, "max_batches");
	json_int_t decay = counter(record, "decay_ms");
	int used = 0;

	*to = '\0';
	if (json_object_get(record, "decay_ms") != NULL)
		used = snprintf(to, TRACK_NAME, "decay_ms %" JSON_INTEGER_FORMAT "%s", decay,
		        decay ? "" : " (never)");
	if (batches != NULL)
		snprintf(to + used, TRACK_NAME - (size_t)used, "%smax_batches %" JSON_INTEGER_FORMAT,
		        used ? ", " : "", json_integer_value(batches));
}

static void remember(struct track *track)
{
	track->newest = (track->newest + TRACK_PAST - 1) % TRACK_PAST;
	track->pasts += track->pasts < TRACK_PAST;
	track->when[track->newest] = track->uptime;
	track->past[TRACK_CREATES][track->newest] = (float)track->creates_rate;
	track->past[TRACK_HITS][track->newest] = (float)track->share;
	track->past[TRACK_LIVE][track->newest] = (float)track->live;
}

static void take_counters(struct track *track, const json_t *record)
{
	json_int_t hits = counter(record, "create_local") + counter(record, "create_depot");
	json_int_t made = counter(record, "create_new");
	double uptime = (double)counter(record, "uptime_ms") / 1000;

	/* If the clock goes back, the process has started again. */
	if (uptime < track->uptime) {
		track->uptime = 0;
		track->hits = track->made = track->creates = track->peak = 0;
	}
	/* A counter that was read while it changed may be behind an earlier reading. */
	hits = hits > track->hits ? hits : track->hits;
	made = made > track->made ? made : track->made;
	json_int_t new_hits = hits - track->hits, new_made = made - track->made;
	double seconds = uptime - track->uptime;
	if (seconds > 0) {
		track->creates_rate = (double)(new_hits + new_made) / seconds;
		track->made_rate = (double)new_made / seconds;
	}
	track->share = new_hits + new_made > 0 ? (double)new_hits / (double)(new_hits + new_made) : -1;
	track->uptime = uptime;
	track->hits = hits;
	track->made = made;
	track->creates = hits + made;
	track->live = counter(record, "live");
	track->pooled = counter(record, "pooled");
	track->peak = counter(record, "peak_objects");
	track->threads = counter(record, "threads");
	if (seconds > 0)
		remember(track);
}

static struct track *take_sample(struct board *board, const json_t *record, json_int_t pid)
{
	const char *name = json_string_value(json_object_get(record, "pool"));

	if (name == NULL) {
		board->bad++;
		return NULL;
	}
	struct track *track = find(board, pid, key_of(name));
	if (track == NULL) {
		track = add(board);
		if (track == NULL)
			return NULL;
		*track = (struct track){.pid = pid, .key = key_of(name)};
		size_t at = program_of(board, pid);
		if (at < TRACK_MAX)
			snprintf(track->program, sizeof track->program, "%s", board->program[at].name);
		keep_name(track->pool, name);
	}
	take_counters(track, record);
	board->records++;
	return track;
}

void board_take(struct board *board, const json_t *record)
{
	const char *type = json_string_value(json_object_get(record, RECORD_KEY_TYPE));
	json_t *pid_value = json_object_get(record, RECORD_KEY_PID);
	json_int_t pid = json_integer_value(pid_value);

	if (type == NULL || !json_is_integer(pid_value)) {
		board->bad++;
	} else if (strcmp(type, RECORD_OPEN) == 0) {
		size_t at = board->programs++ % TRACK_MAX;

		/* An earlier process of that number has ended. */
		board_end(board, pid);
		board->program[at].pid = pid;
		keep_program(board->program[at].name, record);
		keep_served(board, at, record);
		keep_settings(board, at, record);
	} else if (strcmp(type, RECORD_WAY) == 0) {
		size_t at = program_of(board, pid);

		if (at < TRACK_MAX)
			keep_served(board, at, record);
	} else if (strcmp(type, RECORD_SAMPLE) == 0) {
		take_sample(board, record, pid);
	} else if (strcmp(type, RECORD_FINAL) == 0) {
		struct track *track = take_sample(board, record, pid);
		if (track != NULL)
			track->is_ended = true;
	}
}

void board_end(struct board *board, json_int_t pid)
{
	for (size_t i = 0; i < board->count; i++) {
		if (board->track[i].pid == pid)
			board->track[i].is_ended = true;
	}
}

void track_share(char text[16], double share)
{
	if (share < 0)
		snprintf(text, 16, "-");
	else
		snprintf(text, 16, "%.2f%%", (double)(int)(share * 10000) / 100);
}

bool track_past(const struct track *track, enum track_measure measure, size_t ago, double *value)
{
	if (ago >= track->pasts)
		return false;
	*value = track->past[measure][(track->newest + ago) % TRACK_PAST];
	return true;
}

double track_ago(const struct track *track, size_t ago)
{
	return track->when[track->newest] - track->when[(track->newest + ago) % TRACK_PAST];
}
