/* SPDX-License-Identifier: MIT */
/* The log over a long time, by the test's own clock: it stays below its limit, and has samples of every day. */
#include "report/journal.h"

#include "config.h"
#include "system/clock.h"
#include "pool/pool.h"
#include "pool/fast_path.h"
#include "pool/upkeep.h"
#include "report/report.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INTERVAL_MS = 1000, WEEK_S = 7 * 86400, LIMIT_KB = 1024, DAY_S = 86400 };

static char folder[] = "/tmp/journal_test.XXXXXX";
static struct config config = {.interval_ms = INTERVAL_MS, .log_max_kb = LIMIT_KB};
static const struct report_service service = {
        .name = "named", .mode = "pool", .way = "named", .detail = "a test"};
static struct pool pool;
static uint64_t now_s = 1000000;
static long now_ms, late_ms; /* beyond; and how much later it is as soon as the clock has been asked once */

/* All functions of system/clock.h, so that clock.c is not linked. */
struct timespec clock_now(void)
{
	return (struct timespec){(time_t)now_s, 0};
}

uint64_t clock_now_ms(void)
{
	return now_s * 1000;
}

struct timespec clock_wall(void)
{
	return clock_now();
}

void clock_sleep_us(unsigned us)
{
	usleep(us);
}

pid_t clock_pid(void)
{
	return getpid();
}

static void *make(void *owner)
{
	static char object;

	(void)owner;
	return &object;
}

static void destroy(void *owner, void *object)
{
	(void)owner;
	(void)object;
}

static const struct pool_kind kind = {.name = "object", .make = make, .destroy = destroy};

static long file_bytes(void)
{
	struct stat status;

	return stat(config.log, &status) == 0 ? (long)status.st_size : -1;
}

/* Lets that many seconds pass. Returns how many of them had samples. */
static unsigned pass(unsigned seconds)
{
	unsigned writes = 0;

	for (unsigned i = 0; i < seconds; i++) {
		long before = file_bytes();

		now_s++;
		journal_sample();
		writes += file_bytes() > before;
	}
	return writes;
}

static void begin(const char *name)
{
	snprintf(config.log, sizeof config.log, "%s/%s", folder, name);
	journal_reset(0);
	journal_know(&config, &service);
	journal_start_clock();
	journal_begin(true);
}

static bool has(const char *text)
{
	static char all[4 << 20];
	int fd = open(config.log, O_RDONLY);
	ssize_t bytes = fd >= 0 ? read(fd, all, sizeof all) : -1;

	if (fd >= 0)
		close(fd);
	return bytes > 0 && memmem(all, (size_t)bytes, text, strlen(text)) != NULL;
}

/* A thread that is delayed between reading the clock and writing. */
static void test_late(void)
{
	begin("late");
	now_s++;
	late_ms = 300;
	journal_sample();
	now_s++;
	now_ms = 0;
	journal_sample();
	tap_ok(has("\"uptime_ms\":1000,") && has("\"uptime_ms\":2000,"),
	        "journal: samples are as far apart as the interval, however long it takes to write one");
	journal_end();
}

static void test_week(void)
{
	unsigned first, least = DAY_S;

	begin("week");
	first = pass(60);
	for (unsigned day = 0; day < WEEK_S / DAY_S; day++) {
		unsigned writes = pass(DAY_S);

		least = writes < least ? writes : least;
	}
	tap_is(first, 60, "journal: a log that is far from its limit has a sample an interval");
	tap_ok(file_bytes() < LIMIT_KB << 10, "journal: after a week it is below its limit (%ld bytes)",
	        file_bytes());
	tap_ok(file_bytes() > LIMIT_KB << 9, "journal: most of which it used");
	tap_ok(least >= 12, "journal: each day has its samples (%u at least)", least);
	journal_end();
	tap_ok(has("\"type\":\"final\""), "journal: the last word is there all the same");
}

static void test_rotation(void)
{
	begin("rotated");
	pass(DAY_S);
	tap_ok(pass(60) < 10, "journal: a log that has grown has fewer samples");
	unlink(config.log);
	tap_is(pass(60), 60, "journal: after a rotation the new log has one an interval again");
	journal_end();
}

static void test_full(void)
{
	long bytes;

	begin("full");
	pass(1);
	if (truncate(config.log, (LIMIT_KB << 10) - 1500) != 0)
		tap_ok(false, "journal: the log can be made large");
	journal_end();
	tap_ok(has("\"type\":\"open\""), "journal: what was written stays");
	bytes = file_bytes();
	tap_ok(bytes <= LIMIT_KB << 10, "journal: the limit holds for final records too (%ld bytes)", bytes);
	for (unsigned process = 0; process < 20; process++) {
		begin("full");
		pass(10);
		journal_end();
	}
	tap_ok(file_bytes() <= LIMIT_KB << 10,
	        "journal: and for other processes that write to the same log (%ld bytes)", file_bytes());
	tap_ok(has("nothing more is written"), "journal: the log's last line says that it is full");
}

static void test_unlimited(void)
{
	config.log_max_kb = 0;
	begin("unlimited");
	tap_is(pass(3 * 3600), 3 * 3600, "journal: without a limit each interval has its sample");
	tap_ok(file_bytes() > LIMIT_KB << 10, "journal: however large the log becomes");
	journal_end();
}

int main(void)
{
	if (mkdtemp(folder) == NULL || pools_init(0, report_wake) != 0 ||
	        pool_start(&pool, &kind, NULL, 32) != 0)
		return 1;
	pool_put(&pool, 0, pool_get(&pool, 0));
	test_late();
	test_week();
	test_rotation();
	test_full();
	test_unlimited();
	for (const char *const *name =
	                (const char *const[]){"late", "week", "rotated", "full", "unlimited", NULL};
	        *name != NULL; name++) {
		snprintf(config.log, sizeof config.log, "%s/%s", folder, *name);
		unlink(config.log);
	}
	rmdir(folder);
	return tap_done();
}
