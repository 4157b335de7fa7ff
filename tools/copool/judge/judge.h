/* SPDX-License-Identifier: MIT */
/*
 * The verdict on a pool, out of the counters of one log or process: whether copool helps there, by the same rule as
 * verdict.h, and whether the pool is as good as it can be. `show', `report' and `advise' say what is said here.
 *
 * A pool is as good as it can be when nothing was made but what was alive at once: what was made beyond the most objects
 * that existed had been given back before, or destroyed.
 */
#ifndef COPOOL_TOOLS_JUDGE_JUDGE_H
#define COPOOL_TOOLS_JUDGE_JUDGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "log/book.h"
#include "judge/demand.h"
#include "log/series.h"

enum { JUDGE_TEXT = 768, JUDGE_MORE = 3 };

/* What is to be judged. */
struct judge_case {
	const struct book_process *process;
	size_t pool;
	const struct series *series; /* its counters over time; NULL: not known */
	const struct demand *demand; /* the demand on it; NULL: not known */
};

struct judgement {
	const char *grade;                 /* "good", "fair", "poor"; "" for what has none */
	const char *word;                  /* the same for people, "Does not help"; "" */
	bool is_beneath;                   /* the stacks of coroutines that another pool keeps */
	double excess;                     /* misses beyond what was alive at once */
	char text[JUDGE_TEXT];             /* sentences */
	char more[JUDGE_MORE][JUDGE_TEXT]; /* what may be the cause, and what to do */
	size_t mores;
};

void judge(const struct judge_case *which, struct judgement *said);

/* Whether a pool holds the stacks of coroutines that another one keeps, so that few creates come to it. */
bool judge_is_beneath(const struct book_process *process, size_t pool);

/*
 * Of a process that was only observed: how many of the creates that it had to make a stack for copool would have served,
 * by the replay of its demand; -1: not known.
 */
double judge_foreseen(const struct judge_case *which);

/* Adds the judgements to the book as JSON. Each of the last two may be NULL. */
void judge_add(
        json_t *all, const struct book *book, const struct series_set *series, const struct demands *demands);

#endif
