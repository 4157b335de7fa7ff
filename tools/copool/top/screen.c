/* SPDX-License-Identifier: MIT */
/*
 *	copool top: php [1234]                                                     every 1 s
 *	pool by stacks; up 12.3 s; resident 20.4M; idle memory ~8.0M
 *	decay_ms 10000, max_batches 32768
 *	    PID POOL               CREATES/s    HITS   NEW/s    LIVE  POOLED   PEAK THR  PROGRAM
 *	   1234 stack 2101248 php      43210 100.00%       0     200    1024   1224   1  php
 *
 *	(the chart)
 *	q quit   ? help   p pause   arrows, tab: pool   c: chart
 */
#include "top/screen.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "top/chart.h"
#include "clean.h"
#include "top/table.h"

enum { FACTS_FROM = 16, KEYS_ROWS = 1, ESCAPE = 0x1b };

/* The terminal's keys, also if standard input is the log. */
static FILE *keys;

void screen_number(char text[16], double number)
{
	static const char units[] = " kMGTPE";
	size_t unit = 0;

	if (number < 99999.5) {
		snprintf(text, 16, "%.0f", number);
		return;
	}
	while (number >= 999.95 && unit + 2 < sizeof units) {
		number /= 1000;
		unit++;
	}
	snprintf(text, 16, number < 99.995 ? "%.2f%c" : "%.1f%c", number, units[unit]);
}

/* Restores the terminal when ncurses cannot be used any more; written by screen_open. */
static struct {
	bool is_open;
	int fd; /* of the keys */
	struct termios modes;
	char words[128];
} before;

/* <term.h> has it, and macros of names as common as lines and columns. */
int setupterm(const char *name, int fd, int *known);

static bool has_word(const char *name)
{
	const char *word = tigetstr(name);

	return word != NULL && word != (const char *)-1;
}

static void keep_word(const char *name)
{
	const char *word = tigetstr(name);
	size_t used = strlen(before.words);

	if (word != NULL && word != (const char *)-1)
		snprintf(before.words + used, sizeof before.words - used, "%s", word);
}

static void close_keys(void)
{
	if (keys != NULL && keys != stdin)
		fclose(keys);
	keys = NULL;
}

bool screen_open(struct screen *screen)
{
	setlocale(LC_CTYPE, "");
	screen->has_blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	keys = isatty(STDIN_FILENO) ? stdin : fopen("/dev/tty", "re");
	if (keys != NULL) {
		before.fd = fileno(keys);
		tcgetattr(before.fd, &before.modes);
	}
	/* A terminal that cannot move its cursor, such as "dumb", gets plain lines. */
	int known = 0;
	bool can_move = setupterm(NULL, STDOUT_FILENO, &known) == OK && known == 1 && has_word("cup");
	if (keys == NULL || !can_move || newterm(NULL, stdout, keys) == NULL) {
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
	set_escdelay(25);
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
	/* A stopped terminal takes no output. */
	if (poll(&terminal, 1, 100) > 0 && write(STDOUT_FILENO, before.words, strlen(before.words)) < 0)
		return;
}

/* No more keys will come. */
static bool is_hung_up(void)
{
	struct pollfd terminal = {.fd = fileno(keys)};

	return poll(&terminal, 1, 0) > 0 && terminal.revents != 0;
}

void screen_put(int row, const char *text)
{
	if (row < 0 || row >= LINES)
		return;
	mvaddnstr(row, 0, text, COLS);
	clrtoeol();
}

/* Names that are not ASCII are cut at their end, between characters. */
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

/* ---- the whole ---- */

/* The live ones first, then those that have ended. */
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
		snprintf(right, sizeof right, "pools left out: %llu", board->left_out);
	else if (board->bad)
		snprintf(right, sizeof right, "bad lines: %llu", board->bad);
	else
		right[0] = '\0';
	used = snprintf(right + strlen(right), sizeof right - strlen(right), "%s%s", right[0] ? ", " : "",
	        screen->is_paused ? "paused" : "");
	if (!screen->is_paused)
		snprintf(right + strlen(right) - (size_t)used, 32, "%severy %g s", used ? ", " : "",
		        screen->delay);
	snprintf(line, sizeof line, "copool top: %.*s", 160, screen->source);
	screen_put(0, line);
	if ((int)(strlen(line) + strlen(right)) < COLS)
		mvaddstr(0, COLS - (int)strlen(right), right);
}

/* "12.3 s", "1:02:03", "3 d 4:05". */
static void say_uptime(char text[32], double seconds)
{
	long whole = (long)seconds;

	if (seconds < 60)
		snprintf(text, 32, "%.1f s", seconds);
	else if (whole < 86400)
		snprintf(text, 32, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
	else
		snprintf(text, 32, "%ld d %ld:%02ld", whole / 86400, whole / 3600 % 24, whole / 60 % 60);
}

void screen_bytes(char text[16], double number, bool is_guessed)
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;

	for (; number >= 999.5 && unit + 2 < sizeof units; unit++)
		number /= 1024;
	snprintf(text, 16, "%s%.*f%c", is_guessed && number > 0 ? "~" : "", unit > 0 && number < 9.95 ? 1 : 0,
	        number, units[unit]);
}

/* The chosen pool's process, in two lines. */
static void put_facts(int row, const struct screen *screen, const struct board *board)
{
	const struct track *track = screen->now;
	char line[256], uptime[32], bytes[16];
	int used;

	if (track == NULL)
		return;
	say_uptime(uptime, track->uptime);
	used = snprintf(line, sizeof line, "%s; up %s", board_served(board, track->pid), uptime);
	if (screen->resident_bytes) {
		screen_bytes(bytes, (double)screen->resident_bytes, false);
		used += snprintf(line + used, sizeof line - (size_t)used, "; resident %s", bytes);
		screen_bytes(bytes, (double)screen->idle_bytes, screen->is_idle_guessed);
		snprintf(line + used, sizeof line - (size_t)used, "; idle memory %s", bytes);
	}
	screen_put(row, board_served(board, track->pid)[0] ? line : line + 2);
	screen_put(row + 1, board_settings(board, track->pid));
}

static void put_help(const struct screen *screen)
{
	static const char *const lines[] = {
	        "q        quit",
	        "?        this page; any key leaves it",
	        "p        pause, until p is pressed again",
	        "up, down, tab, j, k    choose a pool",
	        "c, left, right         the chart: creates a second, hits, objects alive",
	        "",
	        "CREATES/s  coroutines or stacks that the program asked for per second",
	        "HITS       how many of these the pool served, rounded down: 100.00% is all",
	        "NEW/s      those that had to be made",
	        "LIVE       objects held by the program        POOLED  idle in the pool",
	        "PEAK       most objects that existed at once   THR     threads with a cache",
	        "~          guessed, at two pages per idle object: the process has no log",
	        "",
	        "copool set, trim, off and on change the process; see copool(1)",
	};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		screen_put(2 + (int)i, lines[i]);
	if (screen->has_back)
		screen_put(2 + (int)(sizeof lines / sizeof lines[0]),
		        "esc, backspace         back to all processes");
}

static void put_keys(const struct screen *screen, const struct layout *layout)
{
	char left_out[128];
	const char *text = screen->has_back ? "q quit  ? help  esc back  p pause  arrows: pool  c: chart"
	                                    : "q quit  ? help  p pause  arrows, tab: pool  c: chart";

	screen_put(LINES - 1, text);
	table_say_left_out(left_out, sizeof left_out, layout);
	int room = COLS - (int)strlen(text) - 2, bytes = (int)strlen(left_out);
	if (bytes > 0 && bytes <= room)
		mvaddstr(LINES - 1, COLS - bytes, left_out);
	else if (bytes > 0 && bytes <= COLS)
		screen_put(LINES - 1, left_out);
}

void screen_draw(struct screen *screen, const struct board *board)
{
	static const struct track *order[TRACK_MAX];
	size_t count = put_in_order(board, order), first = 0;
	struct layout layout = table_lay_out(board);
	int head = LINES >= FACTS_FROM ? 3 : 2, room = LINES - head - 1 - KEYS_ROWS;
	/* The table gets what it needs, up to half of the rows; the chart gets the rest. */
	int rows = (int)(count < (size_t)room ? count : (size_t)room),
	    chart = room - (rows > 0 ? rows : 1) - 1;

	chart = chart < room / 2 ? room / 2 : chart;
	chart = chart < CHART_LEAST ? 0 : chart;
	rows = room - chart;
	if (screen->row >= count)
		screen->row = count > 0 ? count - 1 : 0;
	screen->now = count > 0 ? order[screen->row] : NULL;
	if (rows > 0 && screen->row >= (size_t)rows)
		first = screen->row - (size_t)rows + 1;
	erase();
	put_title(screen, board);
	if (screen->is_help) {
		put_help(screen);
		refresh();
		return;
	}
	if (head == 3)
		put_facts(1, screen, board);
	if (screen->note != NULL)
		screen_put(head - 1, screen->note);
	table_head(head, &layout);
	for (int row = 0; row < rows && first + (size_t)row < count; row++)
		table_track(head + 1 + row, &layout, order[first + (size_t)row],
		        first + (size_t)row == screen->row && count > 1);
	if (count == 0)
		screen_put(head + 1, "nothing has been counted yet");
	if (chart > 0 && screen->now != NULL)
		chart_draw(
		        screen->now, screen->measure, LINES - KEYS_ROWS - chart, chart, screen->has_blocks);
	put_keys(screen, &layout);
	refresh();
}

enum screen_key screen_key(struct screen *screen, int wait_ms)
{
	timeout(wait_ms);
	int key = getch();
	if (screen->is_help && key != ERR && key != KEY_RESIZE) {
		screen->is_help = false;
		return key == 'q' || key == 'Q' ? SCREEN_QUIT : SCREEN_AGAIN;
	}
	switch (key) {
	case '?':
	case 'h':
		screen->is_help = true;
		return SCREEN_AGAIN;
	case ESCAPE:
	case KEY_BACKSPACE:
	case 0x7f:
	case '\b':
		return screen->has_back ? SCREEN_BACK : SCREEN_NONE;
	case '\r':
	case '\n':
	case KEY_ENTER:
		return SCREEN_ENTER;
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
