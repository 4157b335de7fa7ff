/*
 *	copool top: php [1234]                                                     every 1 s
 *
 *	    PID POOL               CREATES/s    HITS   NEW/s    LIVE  POOLED   PEAK THR  PROGRAM
 *	   1234 stack 2101248 php      43210 100.00%       0     200    1024   1224   1  php
 *
 *	creates/s of stack 2101248 php, php [1234]; the scale is to 50000
 *	▂▃▅▇█▇▅▃▂
 *	q quit   p pause   arrows, tab: pool   c: chart
 */
#include "screen.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "clean.h"

enum { TITLE_ROWS = 3, CHART_LEAST = 4, CHART_MOST = 12, KEYS_ROWS = 1, EIGHTHS = 8, NAME_WIDTH = 18 };

static const char *const measures[TRACK_MEASURES] = {"creates/s", "hits", "live"};

/* Where the terminal's keys come from when standard input is the log. */
static FILE *keys;

void screen_number(char text[16], double number)
{
	static const char units[] = " kMGTPE";
	size_t unit = 0;

	if (number < 99999.5) {
		snprintf(text, 16, "%.0f", number);
		return;
	}
	while (number >= 999.95 && unit + 2 < sizeof(units)) {
		number /= 1000;
		unit++;
	}
	snprintf(text, 16, number < 99.995 ? "%.2f%c" : "%.1f%c", number, units[unit]);
}

/* What gives the terminal back when ncurses cannot be asked any more; written by screen_open. */
static struct {
	bool is_open;
	int fd; /* of the keys */
	struct termios modes;
	char words[128];
} before;

static void keep_word(const char *name)
{
	const char *word = tigetstr(name);
	size_t used = strlen(before.words);

	if (word != NULL && word != (const char *)-1)
		snprintf(before.words + used, sizeof(before.words) - used, "%s", word);
}

static void close_keys(void)
{
	if (keys && keys != stdin)
		fclose(keys);
	keys = NULL;
}

bool screen_open(struct screen *screen)
{
	setlocale(LC_CTYPE, "");
	screen->has_blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	keys = isatty(STDIN_FILENO) ? stdin : fopen("/dev/tty", "re");
	if (keys) {
		before.fd = fileno(keys);
		tcgetattr(before.fd, &before.modes);
	}
	if (!keys || !newterm(NULL, stdout, keys)) {
		close_keys();
		return false;
	}
	before.words[0] = '\0';
	keep_word("sgr0");
	keep_word("cnorm");
	keep_word("rmkx");
	keep_word("rmcup");
	before.is_open = true;
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	nonl();
	return true;
}

void screen_close(void)
{
	endwin();
	before.is_open = false;
	close_keys();
}

void screen_abandon(void)
{
	struct pollfd terminal = {.fd = STDOUT_FILENO, .events = POLLOUT};

	if (!before.is_open)
		return;
	tcsetattr(before.fd, TCSANOW, &before.modes);
	/* A terminal that is stopped takes nothing. */
	if (poll(&terminal, 1, 100) > 0 && write(STDOUT_FILENO, before.words, strlen(before.words)) < 0)
		return;
}

/* Nobody will press a key any more. */
static bool is_hung_up(void)
{
	struct pollfd terminal = {.fd = fileno(keys)};

	return poll(&terminal, 1, 0) > 0 && terminal.revents != 0;
}

/* A line of text, cut at the edge; the rest of the line is empty. */
static void put_line(int row, const char *text)
{
	if (row < 0 || row >= LINES)
		return;
	mvaddnstr(row, 0, text, COLS);
	clrtoeol();
}

/* The columns for the longest name, as far as the screen has more than 80. */
static int name_width(const struct board *board)
{
	int width = NAME_WIDTH, most = NAME_WIDTH + (COLS > 80 ? COLS - 80 : 0);

	for (size_t i = 0; i < board->count; i++) {
		int name = (int)strlen(board->track[i].pool);
		width = name > width ? name : width;
	}
	return width < most ? width : most;
}

/* Names of more than ASCII are cut as a whole, at their end. */
void screen_fit(char *to, size_t room, const char *name, int width)
{
	int length = (int)strlen(name), columns = (int)clean_width(name), head = width / 2 - 1,
	    tail = width - head - 2;

	if (columns <= width)
		snprintf(to, room, "%s", name);
	else if (columns == length)
		snprintf(to, room, "%.*s..%s", head, name, name + length - tail);
	else
		clean_copy(to, room < (size_t)width + 1 ? room : (size_t)width + 1, name);
}

static const char *fit_name(const char *name, int width)
{
	static char text[TRACK_NAME];

	screen_fit(text, sizeof(text), name, width);
	return text;
}

static void put_track(int row, const struct track *track, int width, bool is_chosen)
{
	char line[256], rate[16], share[16], made[16], live[16], pooled[16], peak[16];

	screen_number(rate, track->creates_rate);
	track_share(share, track->share);
	screen_number(made, track->made_rate);
	screen_number(live, (double)track->live);
	screen_number(pooled, (double)track->pooled);
	screen_number(peak, (double)track->peak);
	if (track->is_ended)
		snprintf(rate, sizeof(rate), "ended");
	snprintf(line, sizeof(line), "%7lld %-*s %9s %7s %7s %7s %7s %6s %3lld  %s", (long long)track->pid,
	        width, fit_name(track->pool, width), rate, track->is_ended ? "" : share,
	        track->is_ended ? "" : made, live, pooled, peak, (long long)track->threads, track->program);
	attrset(is_chosen ? A_REVERSE : track->is_ended ? A_DIM : A_NORMAL);
	put_line(row, line);
	attrset(A_NORMAL);
}

/* ---- the chart ---- */

/* The top of the scale: 1, 2 or 5 times a power of ten. */
static double scale(const struct track *track, enum track_measure measure, int columns)
{
	double most = 1, value, top = 1;

	if (measure == TRACK_HITS)
		return 1;
	for (int i = 0; i < columns && track_past(track, measure, (size_t)i, &value); i++)
		most = value > most ? value : most;
	while (top < most) {
		if (top * 2 >= most)
			return top * 2;
		if (top * 5 >= most)
			return top * 5;
		top *= 10;
	}
	return top;
}

/* One cell of a column that is `height` eighths of a row high, in the row that begins at `from` eighths. */
static const char *cell(const struct screen *screen, int height, int from)
{
	static const char *const blocks[] = {
	        " ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
	int filled = height - from;

	if (filled <= 0)
		return " ";
	if (screen->has_blocks)
		return blocks[filled < EIGHTHS ? filled : EIGHTHS];
	return filled >= EIGHTHS ? "#" : filled >= EIGHTHS / 2 ? ":" : ".";
}

static void put_chart(const struct screen *screen, int top_row, int rows)
{
	const struct track *track = screen->now;
	double top = scale(track, screen->measure, COLS), value;
	char title[256], number[16];

	screen_number(number, top);
	if (screen->measure == TRACK_HITS)
		snprintf(number, sizeof(number), "100%%");
	snprintf(title, sizeof(title), "%s of %s, %s [%lld]; the scale is to %s", measures[screen->measure],
	        track->pool, track->program[0] ? track->program : "process", (long long)track->pid, number);
	put_line(top_row, title);
	for (int row = 1; row < rows; row++)
		put_line(top_row + row, "");
	for (int ago = 0; ago < COLS && track_past(track, screen->measure, (size_t)ago, &value); ago++) {
		int height = value > 0 ? (int)(value / top * (rows - 1) * EIGHTHS + 0.5) : 0;

		/* What is not nothing is seen. */
		if (value > 0 && height == 0)
			height = 1;
		for (int row = 1; row < rows; row++)
			mvaddstr(top_row + row, COLS - 1 - ago,
			        cell(screen, height, (rows - 1 - row) * EIGHTHS));
	}
}

/* ---- the whole ---- */

/* Those that go on first, then those that have ended. */
static size_t put_in_order(const struct board *board, const struct track *order[TRACK_MAX])
{
	size_t count = 0;

	for (int is_ended = 0; is_ended <= 1; is_ended++) {
		for (size_t i = 0; i < board->count; i++) {
			if (board->track[i].is_ended == is_ended)
				order[count++] = &board->track[i];
		}
	}
	return count;
}

static void put_title(const struct screen *screen, const struct board *board)
{
	char line[256], right[64];
	int used;

	if (board->left_out)
		snprintf(right, sizeof(right), "pools left out: %llu", board->left_out);
	else if (board->bad)
		snprintf(right, sizeof(right), "bad lines: %llu", board->bad);
	else
		right[0] = '\0';
	used = snprintf(right + strlen(right), sizeof(right) - strlen(right), "%s%s", right[0] ? ", " : "",
	        screen->is_paused ? "paused" : "");
	if (!screen->is_paused)
		snprintf(right + strlen(right) - (size_t)used, 32, "%severy %g s", used ? ", " : "",
		        screen->delay);
	snprintf(line, sizeof(line), "copool top: %.*s", 160, screen->source);
	put_line(0, line);
	if ((int)(strlen(line) + strlen(right)) < COLS)
		mvaddstr(0, COLS - (int)strlen(right), right);
	put_line(1, screen->note ? screen->note : "");
}

void screen_draw(struct screen *screen, const struct board *board)
{
	static const struct track *order[TRACK_MAX];
	size_t count = put_in_order(board, order), first = 0;
	int width = name_width(board);
	char head[256];
	int chart = LINES - TITLE_ROWS - KEYS_ROWS - (int)(count < 3 ? count : 3) - 1;

	chart = chart < CHART_LEAST ? 0 : chart > CHART_MOST ? CHART_MOST : chart;
	int rows = LINES - TITLE_ROWS - KEYS_ROWS - chart;
	if (screen->row >= count)
		screen->row = count > 0 ? count - 1 : 0;
	screen->now = count > 0 ? order[screen->row] : NULL;
	if (rows > 0 && screen->row >= (size_t)rows)
		first = screen->row - (size_t)rows + 1;
	erase();
	put_title(screen, board);
	attrset(A_BOLD);
	snprintf(head, sizeof(head), "%7s %-*s %9s %7s %7s %7s %7s %6s %3s  %s", "PID", width, "POOL",
	        "CREATES/s", "HITS", "NEW/s", "LIVE", "POOLED", "PEAK", "THR", "PROGRAM");
	put_line(2, head);
	attrset(A_NORMAL);
	for (int row = 0; row < rows && first + (size_t)row < count; row++)
		put_track(TITLE_ROWS + row, order[first + (size_t)row], width,
		        first + (size_t)row == screen->row && count > 1);
	if (count == 0)
		put_line(TITLE_ROWS, "nothing has been counted yet");
	if (chart > 0 && screen->now)
		put_chart(screen, LINES - KEYS_ROWS - chart, chart);
	put_line(LINES - 1, "q quit   p pause   arrows, tab: choose a pool   c: chart");
	refresh();
}

enum screen_key screen_key(struct screen *screen, int wait_ms)
{
	timeout(wait_ms);
	switch (getch()) {
	case 'q':
	case 'Q':
		return SCREEN_QUIT;
	case 'p':
	case ' ':
		screen->is_paused = !screen->is_paused;
		return SCREEN_AGAIN;
	case KEY_DOWN:
	case '\t':
	case 'j':
		screen->row++;
		return SCREEN_AGAIN;
	case KEY_UP:
	case KEY_BTAB:
	case 'k':
		screen->row -= screen->row > 0;
		return SCREEN_AGAIN;
	case 'c':
	case KEY_LEFT:
	case KEY_RIGHT:
		screen->measure = (screen->measure + 1) % TRACK_MEASURES;
		return SCREEN_AGAIN;
	case KEY_RESIZE:
	case 'L' & 0x1f:
		clearok(stdscr, TRUE);
		return SCREEN_AGAIN;
	}
	return is_hung_up() ? SCREEN_GONE : SCREEN_NONE;
}
