/* SPDX-License-Identifier: MIT */
/* The log's lines: JSON whatever the texts hold, the keys as documented, and never too long. */
#include "report/line.h"

#include "config.h"
#include "system/self.h"
#include "pool/limits.h"
#include "pool/pool.h"
#include "pool/fast_path.h"
#include "pool/upkeep.h"
#include "report/pool_records.h"
#include "report/report.h"
#include "tap.h"

#include <errno.h>
#include <unistd.h>

static struct line line;

/* The line as a text, without the keys of every record. */
static const char *ended(void)
{
	static char text[sizeof line.text + 1];
	const char *rest;

	line_end(&line);
	memcpy(text, line.text, line.used);
	text[line.used] = '\0';
	rest = strstr(text, "\"pid\":");
	return rest != NULL ? rest + strcspn(rest, ",}") : text;
}

static void is_written(const char *text, const char *wanted, const char *promise)
{
	char whole[200];

	line_begin(&line, RECORD_WARNING);
	line_text(&line, "text", text);
	snprintf(whole, sizeof whole, ",\"text\":\"%s\"}\n", wanted);
	tap_is_text(ended(), whole, "record: %s", promise);
}

static void test_texts(void)
{
	is_written("plain", "plain", "a plain text is itself");
	is_written("", "", "so is an empty one");
	is_written("a \"b\" \\ c", "a \\\"b\\\" \\\\ c", "quotes and backslashes are escaped");
	is_written("\x01\t\n\x1f\x7f", "\\u0001\\u0009\\u000a\\u001f\\u007f", "so are control characters");
	is_written("/", "/", "a slash is not");
	is_written(
	        "\u00e9\u20ac\U0001f600", "\u00e9\u20ac\U0001f600", "UTF-8 is itself, of two to four bytes");
	is_written("a\xff"
	           "b",
	        "a\\ufffdb", "a byte that is none becomes U+FFFD");
	is_written("\xc3", "\\ufffd", "so does a character that is cut off");
	is_written("\xe2\x82", "\\ufffd\\ufffd", "so does each byte of a longer one");
	is_written("\xf0\x9f\x98", "\\ufffd\\ufffd\\ufffd", "and of the longest");
	is_written("\xc0\xaf", "\\ufffd\\ufffd", "overlong forms are no UTF-8");
	is_written("\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd", "nor are those of three bytes");
	is_written("\xf0\x80\x80\xaf", "\\ufffd\\ufffd\\ufffd\\ufffd", "nor those of four");
	is_written("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd", "nor are surrogates");
	is_written("\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "nor is what lies beyond Unicode");
	is_written("\xf5\x80\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "nor what lies farther");
	is_written("\xc2\x9b"
	           "31m\xc2\x85",
	        "\\u009b31m\\u0085", "control characters of eight bits are escaped");
	is_written("\u202e\u2066\u200f\u061c", "\\u202e\\u2066\\u200f\\u061c",
	        "so is what turns the direction of a text");
	is_written("\U000e0041", "\\udb40\\udc41", "so is what cannot be seen, also in the farthest planes");
	is_written("\xed\x9f\xbf\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xf4\x8f\xbf\xbf", "their neighbours are");
}

static void test_head(void)
{
	double seconds;
	int pid, end = 0;

	line_begin(&line, RECORD_SAMPLE);
	line_number(&line, "n", UINT64_MAX);
	tap_is_text(ended(), ",\"n\":18446744073709551615}\n", "record: the largest number is whole");
	tap_ok(sscanf(line.text, "{\"type\":\"sample\",\"time\":%lf,\"pid\":%d,%n", &seconds, &pid, &end) ==
	                        2 &&
	                end > 0 && pid == getpid() && seconds > 1.6e9,
	        "record: each begins with type, time and process");
}

static const char *keys(void)
{
	static char found[1000];
	size_t used = 0;

	for (size_t i = 0; i < line.used; i++) {
		size_t bytes = 0;

		if (line.text[i] != '{' && line.text[i] != ',')
			continue;
		while (i + 2 + bytes < line.used && line.text[i + 2 + bytes] != '"')
			bytes++;
		used += (size_t)snprintf(
		        found + used, sizeof found - used, "%.*s ", (int)bytes, line.text + i + 2);
	}
	return found;
}

static const struct report_service service = {
        .name = "stacks", .mode = "pool", .way = "named", .detail = "something"};

static void test_open(void)
{
	static const struct report_service none = {
	        .name = "none", .mode = "none", .way = "none", .detail = ""};
	static struct config config = {.interval_ms = 10, .max_batches = 5, .decay_ms = 20};
	char wanted[400];

	program_invocation_short_name = (char[]){"a\"b"};
	self_know();
	pool_records_open(&line, &config, &service, 7);
	snprintf(wanted, sizeof wanted,
	        ",\"format\":%d,\"version\":\"%s\",%s\"program\":\"a\\\"b\",\"host\":\"stacks\",\"mode\":"
	        "\"pool\",\"way\":\"named\",\"detail\":\"something\",\"ppid\":7,\"interval_ms\":10,\"max_batches\":5,"
	        "\"decay_ms\":20,\"page_bytes\":%ld,\"settings\":[],\"sources\":[]}\n",
	        RECORD_FORMAT, COPOOL_VERSION,
	        COPOOL_COMMIT[0] != '\0' ? "\"commit\":\"" COPOOL_COMMIT "\"," : "", sysconf(_SC_PAGESIZE));
	tap_is_text(ended(), wanted, "record: open says what is documented, in that order");
	config.max_batches = BATCHES_DERIVED;
	pool_records_open(&line, &config, &service, 0);
	snprintf(wanted, sizeof wanted, "\"max_batches\":%u,", pool_cap_bearable(POOL_OBJECT_MAPS, 0));
	tap_ok(strstr(ended(), wanted) != NULL, "record: a cap that nobody set is what the system allows");
	pool_records_open(&line, &config, &none, 0);
	tap_ok(strstr(ended(), "\"max_batches\":0,") != NULL,
	        "record: and nothing where there is nothing to pool");
}

static void *make(void *owner)
{
	static int number[100], used;

	(void)owner;
	return &number[used++];
}

static void destroy(void *owner, void *object)
{
	(void)owner;
	(void)object;
}

static void wake(void)
{
}

static const struct pool_kind kind = {.name = "a pool", .make = make, .destroy = destroy};

static void test_pool(void)
{
	static struct pool pool;
	void *object;
	int index;

	if (pools_init(0, wake) != 0)
		exit(EXIT_FAILURE);
	index = pool_start(&pool, &kind, NULL, 32);
	object = pool_get(&pool, (unsigned)index);
	pool_put(&pool, (unsigned)index, object);
	pool_get(&pool, (unsigned)index);
	pool_records_counters(&line, RECORD_FINAL, &pool, 99);
	tap_ok(strstr(ended(), ",\"uptime_ms\":99,\"pool\":\"a pool\",\"create_local\":1,\"create_depot\":0,"
	                       "\"create_new\":1,\"destroy_local\":1,") != NULL,
	        "record: final says time, pool and counters");
#define NAME(name, kind, help) #name " "
	tap_is_text(keys(), "type time pid uptime_ms pool " RECORD_COUNTERS(NAME),
	        "record: its keys are those of record.h, in that order");
}

static void test_owner(void)
{
	static const struct pool_kind part = {.name = "a part", .owner_name = "wheels", .part_of = "cars"};
	static struct pool pool = {.kind = &part};

	line_begin(&line, RECORD_DEPTH);
	pool_records_name(&line, &pool);
	tap_is_text(ended(), ",\"pool\":\"a part\",\"owner\":\"wheels\",\"part_of\":\"cars\"}\n",
	        "record: a pool has its owner, and the pool of which it is a part");
}

static void test_lengths(void)
{
	static char endless[2 * RECORD_LINE_BYTES];
	const struct report_service wordy = {
	        .name = "named", .mode = "pool", .way = "named", .detail = endless};
	static struct config config = {.interval_ms = 3600000, .decay_ms = 86400000};

	memset(endless, '\x01', sizeof endless - 1);
	pool_records_open(&line, &config, &wordy, 4194304);
	tap_ok(strstr(ended(), "\\u0001\",\"ppid\":4194304,\"interval_ms\":3600000,\"max_batches\":32,"
	                       "\"decay_ms\":86400000,\"page_bytes\":") != NULL,
	        "record: a text that is too long is cut, and what follows is whole");
	tap_ok(line.used < RECORD_LINE_BYTES,
	        "record: a line is shorter than the longest that is documented");
	line_begin(&line, RECORD_WARNING);
	for (int i = 0; i < 1000; i++)
		line_number(&line, "much", UINT64_MAX);
	line_end(&line);
	tap_ok(line.used < RECORD_LINE_BYTES && line.text[line.used - 1] == '\n',
	        "record: nothing makes a line longer");
}

/* A program may be started with any name, not only its file's. */
static void test_long_name(void)
{
	static char name[8000];
	static struct config config = {.interval_ms = 10, .decay_ms = 20};

	memset(name, '\xff', sizeof name - 1);
	program_invocation_short_name = name;
	self_know();
	pool_records_open(&line, &config, &service, 0);
	tap_ok(strstr(ended(), "\\ufffd\",\"host\":\"stacks\",\"mode\":\"pool\",\"way\":\"named\",\"detail\":"
	                       "\"something\",") != NULL,
	        "record: a program's name, however long and odd, leaves what follows whole");
}

/* The longest possible sample. */
static void test_longest_sample(void)
{
	static char name[RECORD_LINE_BYTES];

	memset(name, 'x', sizeof name - 1);
	line_begin(&line, RECORD_SAMPLE);
	line_number(&line, "uptime_ms", UINT64_MAX);
	line_text(&line, "pool", name);
#define ADD(name, kind, help) line_number(&line, #name, UINT64_MAX);
	RECORD_COUNTERS(ADD)
	line_number(&line, "end", 1);
	tap_ok(strstr(ended(), ",\"end\":1}\n") != NULL,
	        "record: all counters fit after the longest name, however large");
}

int main(void)
{
	test_texts();
	test_head();
	test_open();
	test_pool();
	test_owner();
	test_lengths();
	test_long_name();
	test_longest_sample();
	return tap_done();
}
