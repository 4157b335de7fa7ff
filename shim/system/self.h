/* SPDX-License-Identifier: MIT */
/*
 * What the program is called, and what distinguishes it from others of that name, as they were at the start: libc's
 * own name points into argv, where programs write their titles while they run.
 */
#ifndef COPOOL_SYSTEM_SELF_H
#define COPOOL_SYSTEM_SELF_H

enum { SELF_LABEL_BYTES = 128 };

/* Called once, by the constructor, before all other functions. */
void self_know(void);

/*
 * The name by which the program's file was called, without folders; never empty. Valid for the life of the process.
 */
const char *self_name(void);

/* Sets the label: `setting`, or `otherwise` if that is "". Called once, by the constructor. */
void self_know_label(const char *setting, const char *otherwise);

/* The label, "" if there is none. It may hold any bytes. Valid for the life of the process. */
const char *self_label(void);

#endif
