/* SPDX-License-Identifier: MIT */
/* What the facts come to, and what to do next. */
#ifndef COPOOL_TOOLS_DOCTOR_ANSWER_H
#define COPOOL_TOOLS_DOCTOR_ANSWER_H

#include "doctor/process.h"
#include "doctor/program.h"
#include "doctor/sheet.h"

enum { ANSWER_TEXT = 1024, ANSWER_NEXT = 2 * PATH_MAX };

struct answer {
	const char *word; /* for --json: can_help, pools, observes, in_the_way, will_not_help, cannot_tell */
	int status;       /* the command's exit status */
	char text[ANSWER_TEXT]; /* a clause: "copool can help: ..." */
	char next[ANSWER_NEXT]; /* the command to try next; "": there is none */
};

/* `process` is NULL for a program that does not run. */
void answer_find(const struct sheet *sheet, const struct program *program, const struct process *process,
        struct answer *answer);

#endif
