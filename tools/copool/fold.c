/* SPDX-License-Identifier: MIT */
/* A stream before the terminal, which keeps the last line until it ends. */
#include "fold.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

enum { LINE_BYTES = 8192, COLUMNS_LEAST = 40, INDENT_MOST = 30 };

static struct {
	char line[LINE_BYTES];
	size_t used, columns;
} mine;

static bool put(const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t wrote = write(STDOUT_FILENO, text, bytes);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return false;
		text += wrote;
		bytes -= (size_t)wrote;
	}
	return true;
}

/* How many bytes of the text fit into so many columns, up to a blank if there is one. */
static size_t fitting(const char *text, size_t bytes, size_t columns)
{
	size_t width = 0, last = 0, i = 0;

	for (; i < bytes; i++) {
		width += (text[i] & 0xc0) != 0x80;
		if (width > columns)
			return text[i] == ' ' ? i : last;
		if (text[i] == ' ' && i > 0 && text[i - 1] != ' ')
			last = i;
	}
	return bytes;
}

/* Writes a line of `bytes`, without its newline. */
static bool put_line(const char *line, size_t bytes)
{
	size_t indent = strspn(line, " "), room = mine.columns;
	bool is_good = true;

	indent = indent > INDENT_MOST || indent + COLUMNS_LEAST / 2 > mine.columns ? 0 : indent;
	for (size_t lines = 0; is_good; lines++) {
		size_t fit = fitting(line, bytes, room);

		/* The terminal breaks a word that is too long. */
		if (fit <= (lines == 0 ? indent : 0))
			fit = bytes;
		is_good = (lines == 0 || put("                              ", indent)) && put(line, fit) &&
		          put("\n", 1);
		line += fit;
		bytes -= fit;
		for (; bytes > 0 && *line == ' '; bytes--)
			line++;
		room = mine.columns - indent;
		if (bytes == 0)
			break;
	}
	return is_good;
}

static ssize_t take(void *cookie, const char *text, size_t bytes)
{
	(void)cookie;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] != '\n' && mine.used < LINE_BYTES - 1) {
			mine.line[mine.used++] = text[i];
			continue;
		}
		mine.line[mine.used] = '\0';
		bool is_good = text[i] == '\n' ? put_line(mine.line, mine.used)
		                               : put(mine.line, mine.used) && put(&text[i], 1);
		mine.used = 0;
		if (!is_good)
			return 0;
	}
	return (ssize_t)bytes;
}

void fold_stdout(void)
{
	cookie_io_functions_t functions = {.write = take};
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
	        size.ws_col < COLUMNS_LEAST)
		return;
	FILE *folding = fopencookie(NULL, "w", functions);
	if (folding == NULL)
		return;
	mine.columns = size.ws_col;
	setvbuf(folding, NULL, _IOLBF, 0);
	fflush(stdout);
	stdout = folding;
}
