/* SPDX-License-Identifier: MIT */
/* The terminal of `copool top`, with ncurses: a table of pools, and a chart of the chosen one. */
#ifndef COPOOL_TOOLS_TOP_SCREEN_H
#define COPOOL_TOOLS_TOP_SCREEN_H

#include <stdbool.h>

#include "top/board.h"

struct screen {
	const char *source; /* what is shown, for the title; the caller's */
	const char *note;   /* a message for the user, or NULL; the caller's */
	double delay;       /* seconds between two looks */
	bool is_paused, is_help;
	bool has_back;                       /* there is something to go back to */
	uint64_t resident_bytes, idle_bytes; /* of the process; 0: not known. The caller's, like */
	bool is_idle_guessed;                /* this: see remote.h */
	enum track_measure measure;
	bool has_blocks;         /* the locale has the block characters */
	const struct track *now; /* chosen; NULL: none yet */
	size_t row;              /* of it, among those shown */
};

enum screen_key { SCREEN_NONE, SCREEN_QUIT, SCREEN_GONE, SCREEN_AGAIN, SCREEN_BACK, SCREEN_ENTER };

/* Takes over the terminal. Returns false if it cannot show this. */
bool screen_open(struct screen *screen);

void screen_draw(struct screen *screen, const struct board *board);

/*
 * Waits for a key, at most `wait_ms`, and does what it means. SCREEN_AGAIN: draw again;
 * SCREEN_GONE: the terminal has gone; SCREEN_BACK, SCREEN_ENTER: leave this, or open the chosen row.
 */
enum screen_key screen_key(struct screen *screen, int wait_ms);

/* Restores the terminal. */
void screen_close(void);

/* The same, as far as possible from another thread while this one is in any of these functions. */
void screen_abandon(void);

/* A line of text, cut at the edge; the rest of the line is empty. */
void screen_put(int row, const char *text);

/* "512B", "8.0K", "1.2G": at most six columns; guesses begin with `~'. */
void screen_bytes(char text[16], double number, bool is_guessed);

/* Copies a name, to at most that many columns: a longer one loses its middle, since names differ at their ends. */
void screen_fit(char *to, size_t room, const char *name, int width);

/* "12345", "1.23M": at most six columns. */
void screen_number(char text[16], double number);

#endif
