/* SPDX-License-Identifier: MIT */
/*
 * Puts the page together: the template of tools/report/, with the parts that it names as {{PART}}, and the
 * logs' content as JSON in a <script> that is not run. In there `<` is written as \u003c, so that nothing a
 * log says can end that element; the page's own script then handles all of it as text.
 */
#include "draw/page.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "draw/baseline.h"
#include "log/book_json.h"
#include "log/held.h"
#include "log/stack_size.h"
#include "clean.h"
#include "judge/judge.h"

/* tools/report/embed.S has them. */
extern const char report_page_html[], report_page_css[], report_words_js[], report_charts_js[],
        report_flame_js[], report_sections_js[], report_page_js[], report_uplot_css[], report_uplot_js[],
        report_uplot_licence[], report_d3_js[], report_d3_licence[], report_flame_graph_js[],
        report_flame_graph_licence[];

static const struct {
	const char *name;
	const char *text;
	bool is_flame; /* only in pages that have origins */
} parts[] = {
        {"uplot-licence", report_uplot_licence, false},
        {"uplot.css", report_uplot_css, false},
        {"uplot.js", report_uplot_js, false},
        {"page.css", report_page_css, false},
        {"words.js", report_words_js, false},
        {"charts.js", report_charts_js, false},
        {"flame.js", report_flame_js, false},
        {"sections.js", report_sections_js, false},
        {"page.js", report_page_js, false},
        {"d3-licence", report_d3_licence, true},
        {"d3.js", report_d3_js, true},
        {"d3-flame-graph-licence", report_flame_graph_licence, true},
        {"d3-flame-graph.js", report_flame_graph_js, true},
};

/* The columns of a series that the page draws. */
static const struct {
	const char *name;
	size_t offset;
} columns[] = {
#define LAST(name)                                                                                           \
	{                                                                                                    \
#name, offsetof(struct series_point, last.name)                                              \
	}
#define OWN(name)                                                                                            \
	{                                                                                                    \
#name, offsetof(struct series_point, name)                                                   \
	}
        OWN(uptime_ms),
        LAST(create_local),
        LAST(create_depot),
        LAST(create_new),
        LAST(destroy_delete),
        LAST(trimmed),
        LAST(live),
        LAST(pooled),
        LAST(peak_objects),
        OWN(live_most),
#undef OWN
#undef LAST
};

static json_t *column_as_json(const struct series *series, size_t offset)
{
	json_t *column = json_array();

	for (size_t i = 0; i < series->points; i++) {
		int64_t value;
		memcpy(&value, (const char *)&series->point[i] + offset, sizeof(value));
		json_array_append_new(column, json_integer(value));
	}
	return column;
}

static json_t *series_as_json(const struct series *series)
{
	json_t *times = json_array();
	json_t *all = json_pack("{s:I, s:I, s:I, s:b, s:I, s:O}", "process", (json_int_t)series->process,
	        "pool", (json_int_t)series->pool, "begin_ms", (json_int_t)series->begin_ms, "from_zero",
	        series->from_zero, "stride", (json_int_t)series->stride, "time", times);

	for (size_t i = 0; i < series->points; i++) {
		double time = series->point[i].time;
		json_array_append_new(times, fabs(time) < 1e12 ? json_real(time) : json_integer(0));
	}
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		json_object_set_new(all, columns[i].name, column_as_json(series, columns[i].offset));
	json_decref(times);
	return all;
}

static void add_series(const struct page *page, json_t *all)
{
	json_t *list = json_array();
	json_int_t disorder = 0;

	for (size_t i = 0; i < page->book->processes; i++) {
		for (size_t j = 0; j < page->book->process[i].pools; j++) {
			const struct series *series = series_of(page->series, i, j);
			if (!series)
				continue;
			disorder += (json_int_t)series->disorder;
			json_array_append_new(list, series_as_json(series));
		}
	}
	json_object_set_new(all, "series", list);
	json_object_set_new(all, "disorder", json_integer(disorder));
}

/* The page is about misses. */
static bool is_leak(const json_t *record)
{
	const char *kind = json_string_value(json_object_get(record, "kind"));

	return kind && strcmp(kind, "leak") == 0;
}

static void add_origins(const struct page *page, json_t *all)
{
	json_t *list = json_array();

	for (size_t i = 0; i < page->origins->count; i++)
		if (!is_leak(page->origins->record[i]))
			json_array_append(list, page->origins->record[i]);
	json_object_set_new(all, "origins", list);
}

/* Adds depths in words, the memory of idle objects, and the changes in how each process was served. */
static void add_facts(const struct page *page, json_t *all)
{
	char text[STACK_SIZE_TEXT];
	json_t *process;
	size_t i;

	json_array_foreach(json_object_get(all, "processes"), i, process)
	{
		const struct book_process *known = &page->book->process[i];
		json_t *depths = json_object_get(process, "depths"), *held = json_array();
		size_t depth = 0;

		for (size_t j = 0; j < known->pools; j++) {
			struct held each = held_each(known, j);
			json_array_append_new(held,
			        json_pack("{s:f, s:s}", "bytes", each.bytes, "how", held_word(each.how)));
			if (known->depth[j] == NULL)
				continue;
			stack_size_say(known->depth[j], text);
			json_object_set_new(json_array_get(depths, depth++), "said", json_string(text));
		}
		json_object_set_new(process, "held", held);
		if (known->changes != NULL)
			json_object_set(process, "changes", known->changes);
	}
}

/* Counters that a record lacks are 0 for the page, and those that it has are numbers. */
static void complete(json_t *all)
{
	size_t i, j;
	json_t *process, *pool;

	json_array_foreach(json_object_get(all, "processes"), i, process)
	{
		json_array_foreach(json_object_get(process, "pools"), j, pool)
		{
			json_t *plain = json_pack("{s:O, s:O}", "type", json_object_get(pool, "type"), "pool",
			        json_object_get(pool, "pool"));
			json_object_set_new(
			        plain, "uptime_ms", json_integer(book_counter(pool, "uptime_ms")));
			double time = json_number_value(json_object_get(pool, RECORD_KEY_TIME));
			json_object_set_new(plain, "time", json_real(fabs(time) < 1e12 ? time : 0));
#define PLAIN(name, kind, help) json_object_set_new(plain, #name, json_integer(book_counter(pool, #name)));
			RECORD_COUNTERS(PLAIN)
			json_object_set(
			        plain, "verdict", json_array_get(json_object_get(process, "verdicts"), j));
			json_object_set(plain, "held", json_array_get(json_object_get(process, "held"), j));
#undef PLAIN
			json_array_set_new(json_object_get(process, "pools"), j, plain);
		}
	}
}

/* What is shown looks like what it is. Takes the value over; returns one of the caller's. */
static json_t *clean_strings(json_t *value)
{
	size_t i;
	const char *key;
	json_t *inner;

	if (json_is_string(value)) {
		json_t *string = json_string(clean(json_string_value(value)));
		json_decref(value);
		return string;
	}
	if (json_is_array(value)) {
		json_array_foreach(value, i, inner)
		        json_array_set_new(value, i, clean_strings(json_incref(inner)));
	} else if (json_is_object(value)) {
		json_object_foreach(value, key, inner)
		        json_object_set_new(value, key, clean_strings(json_incref(inner)));
	}
	return value;
}

static json_t *page_as_json(const struct page *page)
{
	json_t *all = book_as_json(page->book);
	unsigned long long left_out = page->book->left_out + page->series->left_out + page->origins->left_out;

	if (!all)
		return NULL;
	judge_add(all, page->book, page->series, page->demands);
	add_facts(page, all);
	complete(all);
	add_series(page, all);
	add_origins(page, all);
	if (page->baseline != NULL) {
		json_t *baseline = baseline_as_json(page->baseline, page->book);
		json_object_set(baseline, "logs", page->baseline_logs);
		json_object_set_new(all, "baseline", baseline);
	}
	json_object_set_new(all, "left_out", json_integer((json_int_t)left_out));
	json_object_set_new(all, "format_known", json_integer(RECORD_FORMAT));
	json_object_set_new(all, "version", json_string(COPOOL_VERSION));
	json_object_set_new(all, "made", json_integer((json_int_t)time(NULL)));
	json_object_set(all, "logs", page->logs);
	json_object_set(all, "unread", page->unread);
	return clean_strings(all);
}

static int write_escaped(const char *buffer, size_t size, void *file)
{
	for (size_t i = 0; i < size; i++) {
		if (buffer[i] == '<')
			fputs("\\u003c", file);
		else
			putc_unlocked(buffer[i], file);
	}
	return 0;
}

static void write_part(FILE *file, const char *name, size_t length, json_t *data)
{
	bool has_flame = json_array_size(json_object_get(data, "origins")) > 0;

	if (length == strlen("data") && memcmp(name, "data", length) == 0) {
		json_dump_callback(data, write_escaped, file,
		        JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(14));
		return;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strlen(parts[i].name) == length && memcmp(parts[i].name, name, length) == 0 &&
		        (has_flame || !parts[i].is_flame))
			fputs(parts[i].text, file);
	}
}

int page_write(const struct page *page, FILE *file)
{
	json_t *data = page_as_json(page);
	const char *rest = report_page_html;
	const char *open, *close;

	if (!data)
		return -ENOMEM;
	while ((open = strstr(rest, "{{")) && (close = strstr(open, "}}"))) {
		fwrite(rest, 1, (size_t)(open - rest), file);
		write_part(file, open + 2, (size_t)(close - open - 2), data);
		rest = close + 2;
	}
	fputs(rest, file);
	json_decref(data);
	return 0;
}
