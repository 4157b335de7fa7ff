/* SPDX-License-Identifier: MIT */
/*
 * What `copool doctor` has found out: facts in groups with stable names, as --json writes them; findings, each a
 * sentence with a code; and what could not be read, and why. Lack of memory ends the command.
 */
#ifndef COPOOL_TOOLS_DOCTOR_SHEET_H
#define COPOOL_TOOLS_DOCTOR_SHEET_H

#include <jansson.h>
#include <stdbool.h>

enum sheet_level {
	SHEET_NOTE, /* worth knowing */
	SHEET_BAR,  /* in the way: mend it, or copool does not work as it could */
};

struct sheet {
	json_t *facts, *findings, *unread;
};

void sheet_begin(struct sheet *sheet);
void sheet_end(struct sheet *sheet);

/* Sets a fact; the value becomes the sheet's. NULL counts as not known. */
void sheet_set(struct sheet *sheet, const char *group, const char *key, json_t *value);

/* Text from outside, which may be no UTF-8; NULL: not known. */
void sheet_text(struct sheet *sheet, const char *group, const char *key, const char *text);

/* Appends such text to an array. */
void sheet_append(json_t *array, const char *text);

/* A fact that was set, the sheet's; NULL: it is not known. */
const json_t *sheet_get(const struct sheet *sheet, const char *group, const char *key);
const char *sheet_get_text(const struct sheet *sheet, const char *group, const char *key);

/* Adds a finding. */
__attribute__((format(printf, 4, 5))) void sheet_find(
        struct sheet *sheet, enum sheet_level level, const char *code, const char *format, ...);

/* The first finding that is in the way: its sentence, the sheet's; NULL: none is. */
const char *sheet_bar(const struct sheet *sheet);

/* Whether there is a finding with this code. */
bool sheet_has(const struct sheet *sheet, const char *code);

/* Says what could not be read, and why. */
__attribute__((format(printf, 2, 3))) void sheet_unread(struct sheet *sheet, const char *format, ...);

#endif
