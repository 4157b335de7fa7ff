/* SPDX-License-Identifier: MIT */
/* The line is written at most a few times a second. */
#include "progress.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"

enum { QUIET_MS = 300, EVERY_MS = 200, LINE = 160, COLUMNS_LEAST = 20 };

#define ERASE "\r\033[K"

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static struct {
	bool is_terminal, is_running;
	uint64_t next_ms; /* when the line may be written again */
	struct sigaction before[NUMBERS];
	bool is_caught[NUMBERS];
} mine;

static volatile sig_atomic_t is_shown; /* also read in the handler */

static void erase(void)
{
	if (is_shown && write(STDERR_FILENO, ERASE, sizeof ERASE - 1) < 0)
		return; /* the terminal is gone */
	is_shown = 0;
}

/* Erases the line, then lets the signal do what it did before. */
static void end_by(int number)
{
	erase();
	signal(number, SIG_DFL);
	raise(number);
}

/* Leaves alone the signals that the verb itself waits for, ignores or blocks. */
static void catch_signals(void)
{
	struct sigaction ending = {.sa_handler = end_by};
	sigset_t blocked;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (size_t i = 0; i < NUMBERS; i++) {
		mine.is_caught[i] = sigismember(&blocked, numbers[i]) == 0 &&
		                    sigaction(numbers[i], NULL, &mine.before[i]) == 0 &&
		                    mine.before[i].sa_handler == SIG_DFL &&
		                    sigaction(numbers[i], &ending, NULL) == 0;
	}
}

static void release_signals(void)
{
	for (size_t i = 0; i < NUMBERS; i++) {
		if (mine.is_caught[i])
			sigaction(numbers[i], &mine.before[i], NULL);
		mine.is_caught[i] = false;
	}
}

void progress_begin(void)
{
	const char *term = getenv("TERM");

	progress_end();
	mine.is_terminal = isatty(STDERR_FILENO) && term != NULL && *term && strcmp(term, "dumb") != 0;
	mine.is_running = true;
	mine.next_ms = clock_now_ms() + QUIET_MS;
}

/* A line that wraps could not be erased. */
static void fit(char *line)
{
	struct winsize size;
	size_t columns = COLUMNS_LEAST;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > COLUMNS_LEAST)
		columns = size.ws_col;
	while (clean_width(line) >= columns)
		line[strlen(line) - 1] = '\0';
}

void progress_say(const char *format, ...)
{
	char text[LINE], line[LINE];
	va_list arguments;

	if (!mine.is_running || !mine.is_terminal || clock_now_ms() < mine.next_ms)
		return;
	mine.next_ms = clock_now_ms() + EVERY_MS;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	clean_copy(line, sizeof line, text);
	fit(line);
	if (!is_shown)
		catch_signals();
	is_shown = 1;
	dprintf(STDERR_FILENO, ERASE "%s", line);
}

void progress_bytes(const char *name, uint64_t done, uint64_t all)
{
	const double mib = 1 << 20;

	if (all > done)
		progress_say("reading %.0f %% of %.0f MiB: %s", (double)done * 100 / (double)all,
		        (double)all / mib, name);
	else
		progress_say("reading, %.0f MiB so far: %s", (double)done / mib, name);
}

void progress_end(void)
{
	erase();
	release_signals();
	mine.is_running = false;
}
