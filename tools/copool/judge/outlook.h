/* SPDX-License-Identifier: MIT */
/*
 * What copool would have saved for a program that ran without it, computed from how often its functions were called.
 * No input, no output.
 */
#ifndef COPOOL_TOOLS_JUDGE_OUTLOOK_H
#define COPOOL_TOOLS_JUDGE_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

enum { OUTLOOK_TEXT = 512 };

struct outlook {
	uint64_t creates; /* coroutines that were asked for; never fewer than made */
	uint64_t made;    /* of those, how many the program made, each with its own stack */
	uint64_t ended;   /* how many it destroyed; those that existed before count as well */
	uint64_t needed;  /* how many copool would have had to make, at most */
	int64_t least;    /* of made - ended, so far */
	double seconds, cpu_seconds;
	double stack_ns; /* CPU time to make and destroy a stack; 0: not known */
};

/* Adds a look, after an interval: the counts since the start. `creates` is 0 if it cannot be seen. */
void outlook_add(struct outlook *outlook, uint64_t creates, uint64_t made, uint64_t ended);

/* How many of `made` copool would have served, at least. */
uint64_t outlook_saved(const struct outlook *outlook);

/* The CPU time that it would have saved, in seconds; 0 when it is not known. */
double outlook_saved_seconds(const struct outlook *outlook);

/* Whether the pool would help; writes a sentence with the reason to `text` (OUTLOOK_TEXT). */
bool outlook_find(const struct outlook *outlook, char *text);

#endif
