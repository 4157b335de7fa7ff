/* SPDX-License-Identifier: MIT */
#include "top/lines.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"
#include "top/fleet_json.h"
#include "top/screen.h"

enum { WIDE = 98 };

static double now_s(void)
{
	return (double)(clock_now_ns(CLOCK_REALTIME) / 1000000) / 1000;
}

static int flush(void)
{
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

static int print_object(const char *key, json_t *list)
{
	json_t *look = json_pack("{s:f, s:o}", "time", now_s(), key, list);

	clean_json(look, JSON_COMPACT | JSON_REAL_PRECISION(13), stdout);
	json_decref(look);
	return flush();
}

static void print_time(void)
{
	char now[16];
	time_t seconds = time(NULL);
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(now, sizeof now, "%H:%M:%S", &local);
	printf("%s ", now);
}

/* Whether a line with all columns is too wide for the terminal. */
static bool is_narrow(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_col < WIDE;
}

void lines_head(bool is_fleet)
{
	if (is_fleet && is_narrow())
		printf("%-8s %5s %-16s %-7s %9s %7s %7s %6s %6s\n", "time", "procs", "program", "mode",
		        "creates/s", "hits", "new/s", "live", "pooled");
	else if (is_fleet)
		printf("%-8s %9s %-22s %-7s %11s %8s %10s %8s %8s\n", "time", "processes", "program", "mode",
		        "creates/s", "hits", "new/s", "live", "pooled");
	else if (is_narrow())
		printf("%-8s %7s %-21s %9s %7s %7s %6s %6s\n", "time", "pid", "pool", "creates/s", "hits",
		        "new/s", "live", "pooled");
	else
		printf("%-8s %7s %-22s %11s %8s %10s %8s %8s %8s %7s\n", "time", "pid", "pool", "creates/s",
		        "hits", "new/s", "live", "pooled", "peak", "threads");
}

static void print_track_short(const struct track *track, const char *share)
{
	char name[TRACK_NAME], rate[16], made[16], live[16], pooled[16];

	screen_fit(name, sizeof name, track->pool, 21);
	screen_number(rate, track->creates_rate);
	screen_number(made, track->made_rate);
	screen_number(live, (double)track->live);
	screen_number(pooled, (double)track->pooled);
	printf("%7lld %s%*s %9s %7s %7s %6s %6s%s\n", (long long)track->pid, name,
	        21 - (int)clean_width(name), "", rate, share, made, live, pooled,
	        track->is_ended ? " ended" : "");
}

static void print_track(const struct track *track)
{
	char share[16];

	track_share(share, track->share);
	print_time();
	if (is_narrow()) {
		print_track_short(track, share);
		return;
	}
	printf("%7lld %-22s %11.1f %8s %10.1f %8lld %8lld %8lld %7lld%s\n", (long long)track->pid,
	        track->pool, track->creates_rate, share, track->made_rate, (long long)track->live,
	        (long long)track->pooled, (long long)track->peak, (long long)track->threads,
	        track->is_ended ? " ended" : "");
}

static json_t *track_as_json(const struct track *track)
{
	return json_pack("{s:I, s:s, s:s, s:f, s:o, s:f, s:I, s:I, s:I, s:I, s:b}", "pid",
	        (json_int_t)track->pid, "program", track->program, "pool", track->pool, "creates_per_second",
	        track->creates_rate, "hit_share", track->share < 0 ? json_null() : json_real(track->share),
	        "new_per_second", track->made_rate, "live", (json_int_t)track->live, "pooled",
	        (json_int_t)track->pooled, "peak_objects", (json_int_t)track->peak, "threads",
	        (json_int_t)track->threads, "ended", track->is_ended);
}

int lines_board(const struct board *board, size_t *ended, bool is_json)
{
	json_t *list = is_json ? json_array() : NULL;
	size_t gone = 0;

	for (size_t i = 0; i < board->count; i++) {
		const struct track *track = &board->track[i];
		gone += track->is_ended;
		if (track->is_ended && gone <= *ended)
			continue;
		if (is_json)
			json_array_append_new(list, track_as_json(track));
		else
			print_track(track);
	}
	*ended = gone;
	return is_json ? print_object("pools", list) : flush();
}

static void print_program(
        const struct fleet_process *process, size_t count, const char *mode, const struct fleet_counts *sum)
{
	char share[16], name[2 * FLEET_NAME + 2];

	snprintf(name, sizeof name, "%s%s%s", process->program, process->label[0] ? " " : "", process->label);
	fleet_share(share, sum);
	print_time();
	if (is_narrow()) {
		char fit[sizeof name], rate[16], made[16], live[16], pooled[16];

		screen_fit(fit, sizeof fit, name, 16);
		screen_number(rate, sum->creates_rate);
		screen_number(made, sum->made_rate);
		screen_number(live, (double)sum->live);
		screen_number(pooled, (double)sum->pooled);
		printf("%5zu %s%*s %-7s %9s %7s %7s %6s %6s\n", count, fit, 16 - (int)clean_width(fit), "",
		        mode, rate, share, made, live, pooled);
		return;
	}
	printf("%9zu %-22s %-7s %11.1f %8s %10.1f %8" PRIu64 " %8" PRIu64 "\n", count, name, mode,
	        sum->creates_rate, share, sum->made_rate, sum->live, sum->pooled);
}

int lines_fleet(const struct fleet *fleet, bool is_json)
{
	json_t *list = is_json ? json_array() : NULL;

	for (size_t i = 0; i < fleet->count;) {
		const struct fleet_process *process = &fleet->process[i];
		struct fleet_counts sum;
		char mode[FLEET_WORD];
		size_t count = fleet_group(fleet, i, &sum, mode);

		i += count;
		if (count == 1 && process->is_idle)
			continue;
		if (is_json)
			json_array_append_new(list, fleet_group_as_json(process, count, mode, &sum));
		else
			print_program(process, count, mode, &sum);
	}
	return is_json ? print_object("programs", list) : flush();
}
