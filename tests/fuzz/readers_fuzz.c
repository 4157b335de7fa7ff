/*
 * What reads logs, given logs that were cut, changed and mixed: it does not crash, it counts each line once,
 * it keeps its bounds, and what it writes is whole. The mutations follow from a seed, which is printed;
 * COPOOL_SEED gives another one, COPOOL_TEST_FULL=1 many more rounds. To be built with sanitizers.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "book.h"
#include "copool.h"
#include "figure.h"
#include "origins.h"
#include "page.h"
#include "report/record.h"
#include "series.h"
#include "tap.h"

enum { ROUNDS = 1500, ROUNDS_FULL = 100000, MOST = 1 << 16 };

struct text {
	char bytes[MOST];
	size_t length;
};

static uint64_t random_state;
static int log_fd;
static char log_path[64];

/* xorshift64*: the same numbers everywhere. */
static uint64_t draw(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL >> 16) % below;
}

static size_t count_lines(const struct text *text)
{
	size_t lines = 0;

	for (size_t i = 0; i < text->length; i++)
		lines += text->bytes[i] != '\n' && (i == 0 || text->bytes[i - 1] == '\n');
	return lines;
}

static bool is_in_order(const struct series *series)
{
	for (size_t i = 1; i < series->points; i++) {
		if (series->point[i].uptime_ms <= series->point[i - 1].uptime_ms)
			return false;
	}
	for (size_t i = 0; i < series->points; i++) {
		const struct series_point *point = &series->point[i];
		if (point->live_least > point->last.live || point->live_most < point->last.live)
			return false;
	}
	return series->points <= SERIES_POINTS && series->points <= series->room;
}

/* Whether the page is whole and what it has inside is JSON that cannot end its element. */
static bool is_page_whole(const struct page *page)
{
	static const char begin[] = "id=\"data\">";
	char *html = NULL;
	size_t bytes;
	FILE *file = open_memstream(&html, &bytes);
	bool whole = page_write(page, file) == 0;

	fclose(file);
	char *data = strstr(html, begin);
	char *end = data ? strchr(data + strlen(begin), '<') : NULL;
	whole = whole && end && strncmp(end, "</script>", strlen("</script>")) == 0 && strstr(end, "</html>");
	if (whole) {
		data += strlen(begin);
		json_t *json = json_loadb(data, (size_t)(end - data), 0, NULL);
		whole = json_is_array(json_object_get(json, "series"));
		json_decref(json);
	}
	free(html);
	return whole;
}

/* Reads a log with all readers. Returns what is wrong, or NULL. */
static const char *try_log(const struct text *text, struct book *book)
{
	static struct origins origins;
	struct series_set *series;
	const char *wrong = NULL;
	FILE *nowhere = fopen("/dev/null", "w");

	if (ftruncate(log_fd, 0) != 0 ||
	        pwrite(log_fd, text->bytes, text->length, 0) != (ssize_t)text->length ||
	        book_open(book) != 0 || series_open(&series, book) != 0 || !nowhere)
		return "the test has no room";
	origins_open(&origins, book);
	if (book_read(book, log_path) != 0)
		wrong = "it was not read";
	else if (book->records + book->mistakes + book->cut_off != count_lines(text))
		wrong = "not every line was counted once";
	struct page page = {book, series, &origins, json_array(), json_array()};
	if (!wrong && !is_page_whole(&page))
		wrong = "the page is not whole";
	for (size_t i = 0; i < book->processes; i++) {
		for (size_t j = 0; j < book->process[i].pools; j++) {
			const struct series *one = series_of(series, i, j);
			struct figure figure = {&book->process[i], book->process[i].pool[j], one, "svg", "x"};
			if (one && !is_in_order(one))
				wrong = "a series is out of order";
			if (figure_has_content(one))
				figure_write(&figure, nowhere);
		}
	}
	fclose(nowhere);
	json_decref(page.logs);
	json_decref(page.unread);
	origins_close(&origins);
	series_close(series);
	book_close(book);
	return wrong;
}

/* Gives the log at hand to one of the verbs, which has nothing to say to the test's own output. */
static bool try_verb(uint64_t which)
{
	static char *arguments[][4] = {
	        {"copool show", log_path},
	        {"copool show", "--json", log_path},
	        {"copool show", "--csv", log_path},
	        {"copool plot", "--script", log_path},
	        {"copool report", "--output=-", log_path},
	        {"copool advise", log_path},
	        {"copool advise", "--json", log_path},
	};
	static int (*const verbs[])(int, char **) = {
	        cmd_show, cmd_show, cmd_show, cmd_plot, cmd_report, cmd_advise, cmd_advise};
	char *copy[4];
	int count = 0;
	FILE *output = stdout, *errors = stderr;

	which %= sizeof(verbs) / sizeof(verbs[0]);
	memcpy(copy, arguments[which], sizeof(copy));
	while (count < 4 && copy[count])
		count++;
	stdout = stderr = fopen("/dev/null", "w");
	optind = 0;
	int status = verbs[which](count, copy);
	fclose(stdout);
	stdout = output;
	stderr = errors;
	return status == 0 || status == 1;
}

static void replace(struct text *text, size_t at, size_t old, const char *with, size_t length)
{
	if (text->length - old + length > MOST)
		return;
	memmove(text->bytes + at + length, text->bytes + at + old, text->length - at - old);
	memcpy(text->bytes + at, with, length);
	text->length = text->length - old + length;
}

static const char *const odd[] = {"-9223372036854775808", "9223372036854775807", "9007199254740993", "1e308",
        "-1", "18446744073709551616", "null", "[]", "{}", "\"\"", "true", "0.5", "\"</script><script>\"",
        "\"\\u0000\"", "\"\xff\"", "\n", "\n\n", "\r\n", "{\"type\":\"weather\",\"pid\":1}\n", "[[[[[[[[",
        "\"type\":\"final\"", "\"type\":\"open\"", "\"type\":\"origin\""};

/* Replaces a number or a word of the log by something odd. */
static void replace_word(struct text *text)
{
	size_t at = draw(text->length);
	const char *with = odd[draw(sizeof(odd) / sizeof(odd[0]))];

	while (at > 0 && !strchr(":,\n", text->bytes[at - 1]))
		at--;
	size_t old = 0;
	while (at + old < text->length && !strchr(",}\n", text->bytes[at + old]))
		old++;
	replace(text, at, old, with, strlen(with));
}

static void copy_span(struct text *text)
{
	static char span[MOST];
	size_t from = draw(text->length);
	size_t length = draw(text->length - from < 2000 ? text->length - from : 2000);

	memcpy(span, text->bytes + from, length);
	replace(text, draw(text->length), 0, span, length);
}

static void mutate(struct text *text)
{
	static char blanks[RECORD_LINE_BYTES + 400];

	memset(blanks, ' ', sizeof(blanks));
	for (uint64_t left = 1 + draw(8); left-- && text->length > 0;) {
		size_t at = draw(text->length);
		size_t rest = text->length - at;
		char byte = (char)draw(256);
		switch (draw(7)) {
		case 0:
			text->bytes[at] = byte;
			break;
		case 1:
			replace(text, at, 0, &byte, 1);
			break;
		case 2:
			replace(text, at, draw(rest < 500 ? rest : 500), "", 0);
			break;
		case 3:
			copy_span(text);
			break;
		case 4:
			replace(text, at, 0, blanks, RECORD_LINE_BYTES - 400 + draw(800));
			break;
		default:
			replace_word(text);
		}
	}
}

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

static void test_mutations(const struct text *const logs[2])
{
	static struct text text;
	struct book book;
	const char *full = getenv("COPOOL_TEST_FULL");
	const char *seed = getenv("COPOOL_SEED");
	const char *wrong = NULL;
	int rounds = full && strcmp(full, "1") == 0 ? ROUNDS_FULL : ROUNDS;
	int i;

	random_state = seed ? strtoull(seed, NULL, 0) | 1 : 0x9e3779b97f4a7c15ULL;
	printf("# COPOOL_SEED=%#llx, %d rounds\n", (unsigned long long)random_state, rounds);
	for (i = 0; i < rounds && !wrong; i++) {
		text = *logs[i % 2];
		mutate(&text);
		wrong = try_log(&text, &book);
		if (!wrong && !try_verb((uint64_t)i))
			wrong = "a verb failed";
	}
	if (!tap_ok(!wrong, "readers: a log that was changed at random does no harm"))
		printf("# round %d: %s; the log: %.*s\n", i - 1, wrong, (int)text.length, text.bytes);
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
			book.watch.counters(book.watch.counters_context, process, 3, true, record);
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
	text->length = fread(text->bytes, 1, MOST, file);
	fclose(file);
}

int main(void)
{
	static struct text whole, bursts;
	const struct text *const logs[2] = {&whole, &bursts};

	read_fixture("tests/fixtures/qemu.jsonl", &whole);
	read_fixture("tests/fixtures/bursts.jsonl", &bursts);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	snprintf(log_path, sizeof(log_path), "/proc/self/fd/%d", log_fd);
	test_cuts(&whole);
	test_mutations(logs);
	test_crowd();
	close(log_fd);
	return tap_done();
}
