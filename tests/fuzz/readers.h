/* SPDX-License-Identifier: MIT */
/*
 * A log given to all that reads logs: it is read without a crash, each line is counted once, series keep
 * their order and their bounds, and the page that is made of it is whole. For the fuzzer and for the unit
 * test.
 */
#ifndef COPOOL_TESTS_FUZZ_READERS_H
#define COPOOL_TESTS_FUZZ_READERS_H

#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log/book.h"
#include "copool.h"
#include "draw/figure.h"
#include "log/origins.h"
#include "draw/page.h"
#include "report/record.h"
#include "log/series.h"

struct text {
	char bytes[1 << 16];
	size_t length;
};

static int log_fd;
static char log_path[64];

static void readers_open(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	snprintf(log_path, sizeof(log_path), "/proc/self/fd/%d", log_fd);
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
	static struct demands demands;
	struct series_set *series;
	const char *wrong = NULL;
	FILE *nowhere = fopen("/dev/null", "w");

	if (ftruncate(log_fd, 0) != 0 ||
	        pwrite(log_fd, text->bytes, text->length, 0) != (ssize_t)text->length ||
	        book_open(book) != 0 || series_open(&series, book) != 0 || !nowhere)
		return "the test has no room";
	origins_open(&origins, book);
	demands_watch(&demands, book);
	if (book_read(book, log_path) != 0)
		wrong = "it was not read";
	else if (book->records + book->mistakes + book->cut_off != count_lines(text))
		wrong = "not every line was counted once";
	struct page page = {book, series, &demands, &origins, json_array(), json_array(), book, json_array()};
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
	json_decref(page.baseline_logs);
	origins_close(&origins);
	series_close(series);
	demands_free(&demands);
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

#endif
