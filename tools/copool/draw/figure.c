/* SPDX-License-Identifier: MIT */
/*
 * Text from a log is put in single quotes, in which gnuplot expands nothing (in double quotes it runs commands in
 * backquotes), and its markup is off.
 */
#include "draw/figure.h"

#include <inttypes.h>
#include <string.h>

#include "clean.h"

static const struct {
	const char *format;
	const char *terminal;
} terminals[] = {
        {"svg", "svg size 900,1000 dynamic font 'sans-serif,14' background rgb 'white'"},
        {"png", "pngcairo size 1200,1340 font 'sans-serif,15' background rgb 'white'"},
        {"pdf", "pdfcairo size 16cm,18cm font 'sans-serif,9'"},
};

static const char *find_terminal(const char *format)
{
	for (size_t i = 0; i < sizeof terminals / sizeof terminals[0]; i++) {
		if (strcmp(format, terminals[i].format) == 0)
			return terminals[i].terminal;
	}
	return NULL;
}

bool figure_has_format(const char *format)
{
	return find_terminal(format) != NULL;
}

bool figure_has_content(const struct series *series)
{
	return series != NULL && series->points + series->from_zero > 1;
}

static void write_quoted(FILE *file, const char *text)
{
	putc('\'', file);
	for (text = clean(text); *text; text++) {
		if (*text == '\'')
			putc('\'', file);
		putc(*text, file);
	}
	putc('\'', file);
}

/* A unit that keeps the numbers of the axis small. */
static int64_t unit_ms(int64_t range_ms, const char **name)
{
	static const struct {
		int64_t range_ms, unit_ms;
		const char *name;
	} units[] = {
	        {300000, 1000, "seconds"},
	        {3 * 3600000LL, 60000, "minutes"},
	        {3 * 86400000LL, 3600000, "hours"},
	        {INT64_MAX, 86400000, "days"},
	};
	size_t i = 0;

	while (range_ms > units[i].range_ms)
		i++;
	*name = units[i].name;
	return units[i].unit_ms;
}

static double rate(int64_t before, int64_t after, int64_t ms)
{
	return ms > 0 && after > before ? (double)(after - before) * 1000 / (double)ms : 0;
}

/*
 * A row: time; local, depot, new and trimmed per second until the next row; the share of new in percent; then live,
 * pooled and the peak at that time.
 */
static void write_row(
        FILE *file, const struct series_point *now, const struct series_point *next, double unit)
{
	int64_t ms = next->uptime_ms - now->uptime_ms;
	double local = rate(now->last.create_local, next->last.create_local, ms);
	double depot = rate(now->last.create_depot, next->last.create_depot, ms);
	double new = rate(now->last.create_new, next->last.create_new, ms);
	double all = local + depot + new;

	fprintf(file, "%.6g %.6g %.6g %.6g %.6g %.6g %" PRId64 " %" PRId64 " %" PRId64 "\n",
	        (double)now->uptime_ms / unit, local, depot, new,
	        rate(now->last.trimmed, next->last.trimmed, ms), all > 0 ? new / all * 100 : 0,
	        now->last.live, now->last.pooled, now->last.peak_objects);
}

static void write_data(const struct series *series, FILE *file, double unit)
{
	struct series_point begin = {.uptime_ms = series->begin_ms};
	const struct series_point *now = series->from_zero ? &begin : series->point;
	size_t next = series->from_zero ? 0 : 1;

	fprintf(file, "# time local/s depot/s new/s trimmed/s missed%% live pooled peak\n$data << END\n");
	for (; next < series->points; now = &series->point[next++])
		write_row(file, now, &series->point[next], unit);
	write_row(file, now, now, unit);
	fprintf(file, "END\n\n");
}

static void write_title(const struct figure *figure, FILE *file)
{
	const char *program = json_string_value(json_object_get(figure->process->open, "program"));
	const char *pool = json_string_value(json_object_get(figure->pool, "pool"));
	json_int_t hits =
	        book_counter(figure->pool, "create_local") + book_counter(figure->pool, "create_depot");
	json_int_t missed = book_counter(figure->pool, "create_new");
	char title[2 * RECORD_LINE_BYTES];

	snprintf(title, sizeof title,
	        "%s [%" JSON_INTEGER_FORMAT "], %s: %" JSON_INTEGER_FORMAT " creates, %" JSON_INTEGER_FORMAT
	        " missed",
	        clean(program), figure->process->pid, clean(pool), hits + missed, missed);
	fprintf(file, "set multiplot layout 3,1 title ");
	write_quoted(file, title);
	fprintf(file, " noenhanced\n");
}

static const char head[] = "set encoding utf8\n"
                           "set style fill solid 1 noborder\n"
                           "set grid xtics ytics lt 1 lc rgb '#dddddd' lw 1\n"
                           "set key above left horizontal samplen 2 width 1\n"
                           "set lmargin 11\n"
                           "set rmargin 3\n"
                           "set border 3\n"
                           "set tics nomirror\n"
                           "set xrange [*:*] noextend\n"
                           "set yrange [0:1<*]\n"
                           "set format y '%.6g'\n";

/* Stacked areas are drawn from the highest down. */
static const char panels[] =
        "set ylabel 'creates per second'\n"
        "plot $data using 1:($2+$3+$4) with fillsteps lc rgb '#d55e00' title 'missed', \\\n"
        "     $data using 1:($2+$3) with fillsteps lc rgb '#56b4e9' title 'depot', \\\n"
        "     $data using 1:2 with fillsteps lc rgb '#0072b2' title 'thread''s cache'\n\n"
        "set ylabel 'per second'\n"
        "plot $data using 1:4 with steps lw 2 lc rgb '#d55e00' title 'made (missed)', \\\n"
        "     $data using 1:5 with steps lw 2 dt 2 lc rgb '#882255' title 'given back'\n\n"
        "set ylabel 'objects'\n";

static const char last_panel[] =
        "plot $data using 1:($7+$8) with filledcurves y1=0 lc rgb '#7fcfb5' title 'idle', \\\n"
        "     $data using 1:7 with filledcurves y1=0 lc rgb '#0072b2' title 'alive', \\\n"
        "     $data using 1:9 with lines lw 2 dt 2 lc rgb '#1b2126' title 'most so far'\n"
        "unset multiplot\n";

void figure_write(const struct figure *figure, FILE *file)
{
	const struct series *series = figure->series;
	const char *unit_name;
	int64_t range_ms = series->point[series->points - 1].uptime_ms - series->begin_ms;
	double unit = (double)unit_ms(range_ms, &unit_name);

	fprintf(file, "set terminal %s\n", find_terminal(figure->format));
	if (figure->output != NULL) {
		fprintf(file, "set output ");
		write_quoted(file, figure->output);
		putc('\n', file);
	}
	fputs(head, file);
	write_data(series, file, unit);
	write_title(figure, file);
	fputs(panels, file);
	fprintf(file, "set xlabel '%s since the program began'\n", unit_name);
	fputs(last_panel, file);
}
