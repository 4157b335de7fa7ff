/* SPDX-License-Identifier: MIT */
/*
 * Judges a pool by the counters of one log or process: whether copool helps, by the rule of verdict.h, and whether the
 * pool is as good as it can be. `show', `report' and `advise' print these sentences.
 *
 * A pool is as good as it can be if it made no more objects than existed at once. More are made if objects were given
 * back, or destroyed, before.
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

struct judge_case {
	const struct book_process *process;
	size_t pool;
	const struct series *series; /* its counters over time; NULL: not known */
	const struct demand *demand; /* the demand on it; NULL: not known */
	bool is_quick;               /* say nothing that has to be measured first */
};

struct judgement {
	const char *grade; /* "good", "fair", "poor"; "": none */
	const char *word;  /* the same for people, or "Does not help" and the like; "": none */
	bool is_beneath;   /* its objects are the stacks of coroutines that another pool keeps */
	bool would_help;   /* the process was only observed, and should be pooled */
	double creates;
	double excess;                     /* misses beyond what was alive at once */
	char text[JUDGE_TEXT];             /* sentences */
	char more[JUDGE_MORE][JUDGE_TEXT]; /* possible causes, and what to do */
	size_t mores;
};

void judge(const struct judge_case *which, struct judgement *said);

/* Whether a pool holds the stacks of coroutines that another one keeps, so that few creates reach it. */
bool judge_is_beneath(const struct book_process *process, size_t pool);

/*
 * For a process that was only observed: how many of the creates that made a stack copool would have served, by a replay
 * of the demand; without one, an upper limit.
 */
double judge_foreseen(const struct judge_case *which);

/* What one of two logs says of a program; all its processes and pools together. */
struct judge_side {
	const char *mode; /* "pool", "observe"; "off": switched off for a time; "mixed"; "": not known */
	double creates, misses;
};

/*
 * Compares two logs of a program. If the first was only observed and the second pooled, it says whether copool helps, by
 * the rule of `copool compare'; otherwise it says why there is no verdict, and how many creates missed in each.
 */
void judge_sides(const struct judge_side *first, const struct judge_side *second, struct judgement *said);

/* Adds the judgements to `all`, the book as JSON. `series` and `demands` may be NULL. */
void judge_add(
        json_t *all, const struct book *book, const struct series_set *series, const struct demands *demands);

#endif
