/* SPDX-License-Identifier: MIT */
#include "log/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void read_counters(struct series_counters *counters, const json_t *record)
{
#define READ_COUNTER(name, kind, help) counters->name = book_counter(record, #name);
	RECORD_COUNTERS(READ_COUNTER)
#undef READ_COUNTER
}

/* `into` is earlier than `from`. */
static void merge(struct series_point *into, const struct series_point *from)
{
	struct series_point both = *from;

	both.samples += into->samples;
	both.live_least = least(into->live_least, from->live_least);
	both.live_most = most(into->live_most, from->live_most);
	both.pooled_least = least(into->pooled_least, from->pooled_least);
	both.pooled_most = most(into->pooled_most, from->pooled_most);
	if (into->creates_most > both.creates_most)
		both.creates_most = into->creates_most;
	if (into->new_most > both.new_most)
		both.new_most = into->new_most;
	*into = both;
}

/* Every two points become one, until there are fewer than `limit`. */
static void thin(struct series *series, size_t limit)
{
	while (series->points >= limit) {
		size_t kept = 0;
		for (size_t i = 0; i < series->points; i += 2, kept++) {
			series->point[kept] = series->point[i];
			if (i + 1 < series->points)
				merge(&series->point[kept], &series->point[i + 1]);
		}
		series->points = kept;
		series->stride *= 2;
	}
}

static void resize(struct series_set *set, struct series *series, size_t room)
{
	struct series_point *point = reallocarray(series->point, room, sizeof *point);

	if (point == NULL)
		return;
	set->all_points = set->all_points - series->room + room;
	series->point = point;
	series->room = room;
}

/* Halves the limit of each series until `room` more points fit. Returns false if they never will. */
static bool make_room(struct series_set *set, size_t room)
{
	while (set->all_points + room > SERIES_ALL_POINTS) {
		if (set->limit <= SERIES_FEWEST)
			return false;
		set->limit /= 2;
		for (size_t i = 0; i < BOOK_PROCESSES; i++) {
			for (size_t j = 0; set->of[i] != NULL && j < POOL_MAX; j++) {
				struct series *series = set->of[i][j];
				if (series == NULL || series->room <= set->limit)
					continue;
				thin(series, set->limit);
				resize(set, series, set->limit);
			}
		}
	}
	return true;
}

/* Makes room for one more point; without memory, thins the series. */
static bool can_grow(struct series_set *set, struct series *series)
{
	if (series->points < series->room)
		return true;
	if (series->room < set->limit) {
		size_t more = series->room ? series->room : SERIES_FEWEST;
		if (more > set->limit - series->room)
			more = set->limit - series->room;
		if (make_room(set, more) && series->room < set->limit)
			resize(set, series, series->room + more);
	}
	if (series->room && series->points == series->room)
		thin(series, series->room);
	return series->points < series->room;
}

static double rate(int64_t before, int64_t now, int64_t ms)
{
	return ms > 0 && now > before ? (double)(now - before) * 1000 / (double)ms : 0;
}

static int64_t creates(const struct series_counters *counters)
{
	return counters->create_local + counters->create_depot + counters->create_new;
}

/* Adds the series of a pool that begins with this record. */
static struct series *add_series(struct series_set *set, size_t process, size_t pool, bool opened)
{
	struct series **of = set->of[process];

	if (of == NULL)
		of = set->of[process] = calloc(POOL_MAX, sizeof(struct series *));
	if (of == NULL || (of[pool] = calloc(1, sizeof *of[pool])) == NULL)
		return NULL;
	of[pool]->process = process;
	of[pool]->pool = pool;
	of[pool]->stride = 1;
	of[pool]->begin_ms = set->tick_ms[process][1];
	of[pool]->from_zero = opened || of[pool]->begin_ms > 0;
	return of[pool];
}

/* Keeps the process' last two ticks: a pool that appears now had counted nothing at the one before. */
static void note_tick(struct series_set *set, size_t process, int64_t uptime_ms)
{
	int64_t *tick_ms = set->tick_ms[process];

	if (uptime_ms <= tick_ms[0])
		return;
	tick_ms[1] = tick_ms[0];
	tick_ms[0] = uptime_ms;
}

/* Whether a rate would mislead, as too little time has passed since the last sample. */
static bool is_close(const struct series *series, int64_t passed_ms)
{
	int64_t last_ms = series->point[series->points - 1].uptime_ms;

	return passed_ms < (last_ms - series->begin_ms) / series->samples / 4;
}

static void append(struct series_set *set, struct series *series, struct series_point *point, bool final)
{
	const struct series_point *before = series->points ? &series->point[series->points - 1] : NULL;
	static const struct series_counters zero;
	const struct series_counters *then = before != NULL      ? &before->last
	                                     : series->from_zero ? &zero
	                                                         : &point->last;
	int64_t passed_ms = point->uptime_ms - (before != NULL ? before->uptime_ms : series->begin_ms);

	if (passed_ms < 0) {
		series->disorder++;
		return;
	}
	bool close = before != NULL && (passed_ms == 0 || (final && is_close(series, passed_ms)));
	if (!close) {
		point->creates_most = rate(creates(then), creates(&point->last), passed_ms);
		point->new_most = rate(then->create_new, point->last.create_new, passed_ms);
	}
	series->samples++;
	if (before != NULL && (close || before->samples < series->stride))
		merge(&series->point[series->points - 1], point);
	else if (can_grow(set, series))
		series->point[series->points++] = *point;
	else
		set->left_out++;
}

static void note_counters(void *context, size_t process, size_t pool, bool opened, const json_t *record)
{
	struct series_set *set = context;
	struct series *series = set->of[process] != NULL ? set->of[process][pool] : NULL;
	const char *type = json_string_value(json_object_get(record, RECORD_KEY_TYPE));
	struct series_point point = {.uptime_ms = book_counter(record, "uptime_ms"), .samples = 1};

	point.time = json_number_value(json_object_get(record, RECORD_KEY_TIME));
	read_counters(&point.last, record);
	point.live_least = point.live_most = point.last.live;
	point.pooled_least = point.pooled_most = point.last.pooled;
	note_tick(set, process, point.uptime_ms);
	if (series == NULL)
		series = add_series(set, process, pool, opened);
	if (series == NULL)
		set->left_out++;
	else
		append(set, series, &point, type != NULL && strcmp(type, RECORD_FINAL) == 0);
}

int series_open(struct series_set **set, struct book *book)
{
	*set = calloc(1, sizeof **set);
	if (*set == NULL)
		return -ENOMEM;
	(*set)->limit = SERIES_POINTS;
	book->watch.listener[book->watch.listeners++] = (struct book_listener){note_counters, *set};
	return 0;
}

void series_close(struct series_set *set)
{
	for (size_t i = 0; set != NULL && i < BOOK_PROCESSES; i++) {
		for (size_t j = 0; set->of[i] != NULL && j < POOL_MAX; j++) {
			if (set->of[i][j] != NULL)
				free(set->of[i][j]->point);
			free(set->of[i][j]);
		}
		free(set->of[i]);
	}
	free(set);
}

const struct series *series_of(const struct series_set *set, size_t process, size_t pool)
{
	return set->of[process] != NULL ? set->of[process][pool] : NULL;
}
