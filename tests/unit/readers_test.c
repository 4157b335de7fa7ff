/* SPDX-License-Identifier: MIT */
/*
 * What reads logs, given a log that ends after any of its bytes, and one of more processes than anybody
 * keeps. The fuzzer of tests/fuzz changes logs at random.
 */
#include "../fuzz/readers.h"
#include "tap.h"

static void test_cuts(const struct text *whole)
{
	static struct text text;
	struct book book;
	const char *wrong = NULL;
	size_t at;

	for (at = 0; at <= whole->length && !wrong; at++) {
		memcpy(text.bytes, whole->bytes, at);
		text.length = at;
		wrong = try_log(&text, &book);
		if (!wrong && at % 16 == 0 && !try_verb(at / 16))
			wrong = "a verb failed";
		if (!wrong && book.mistakes > 0)
			wrong = "the cut line counts as a mistake";
		if (!wrong && book.records < count_lines(&text) - (at > 0 && text.bytes[at - 1] != '\n'))
			wrong = "a whole line is missing";
	}
	if (!tap_ok(!wrong, "readers: a log that ends after any of its bytes is read up to there"))
		printf("# after %zu bytes: %s\n", at - 1, wrong);
}

enum { CROWD = 400, CROWD_SAMPLES = 600, CROWD_PEAK = 777 };

/* One of the crowd's series as it should be: thinned, its peak and its last counters there. */
static bool is_thinned_well(const struct series *series)
{
	int64_t peak = 0, new_most = 0;

	if (!series || !is_in_order(series) || series->points < 100 || series->disorder)
		return false;
	for (size_t i = 0; i < series->points; i++) {
		peak = series->point[i].live_most > peak ? series->point[i].live_most : peak;
		new_most = (int64_t)series->point[i].new_most > new_most ? (int64_t)series->point[i].new_most
		                                                         : new_most;
	}
	const struct series_point *last = &series->point[series->points - 1];
	return peak == CROWD_PEAK && new_most == 500 && last->uptime_ms == CROWD_SAMPLES * 1000 &&
	       last->last.create_new == CROWD_SAMPLES + 499;
}

/* More points than all may have, a sample of each process after the other. */
static void test_crowd(void)
{
	struct book book;
	struct series_set *set;
	json_t *record =
	        json_pack("{s:f, s:i, s:i, s:i}", "time", 1.5, "uptime_ms", 0, "create_new", 0, "live", 0);
	size_t most = 0, good = 0;

	book_open(&book);
	series_open(&set, &book);
	for (int i = 1; i <= CROWD_SAMPLES; i++) {
		json_integer_set(json_object_get(record, "uptime_ms"), i * 1000);
		json_integer_set(json_object_get(record, "create_new"), i < 201 ? i : i + 499);
		json_integer_set(json_object_get(record, "live"), i == 301 ? CROWD_PEAK : 1);
		for (size_t process = 0; process < CROWD; process++)
			book.watch.listener[0].counters(
			        book.watch.listener[0].context, process, 3, true, record);
		most = set->all_points > most ? set->all_points : most;
	}
	for (size_t process = 0; process < CROWD; process++)
		good += is_thinned_well(series_of(set, process, 3));
	tap_ok(most <= SERIES_ALL_POINTS && most > SERIES_ALL_POINTS / 4,
	        "series: all together keep to their bound");
	tap_is(good, CROWD, "series: a thinned one has its peaks and its last counters");
	json_decref(record);
	series_close(set);
	book_close(&book);
}

static void read_fixture(const char *path, struct text *text)
{
	FILE *file = fopen(path, "re");

	if (!file) {
		printf("Bail out! cannot read %s\n", path);
		exit(1);
	}
	text->length = fread(text->bytes, 1, sizeof(text->bytes), file);
	fclose(file);
}

int main(void)
{
	static struct text whole;

	read_fixture("tests/fixtures/qemu.jsonl", &whole);
	readers_open();
	test_cuts(&whole);
	test_crowd();
	close(log_fd);
	return tap_done();
}
