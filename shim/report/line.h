/* SPDX-License-Identifier: MIT */
/* One line of the log being written: a flat JSON object. Owned by the caller; no allocation, no locale. */
#ifndef COPOOL_REPORT_LINE_H
#define COPOOL_REPORT_LINE_H

#include "report/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
	char text[RECORD_LINE_BYTES - 1]; /* without a closing zero */
	size_t used;
};

/* Begins a record with its type, the time now, and the process. */
void line_begin(struct line *line, const char *type);

/* Adds a pair. A text is escaped, made UTF-8 if it is not, and cut if the line would grow too long. */
void line_text(struct line *line, const char *key, const char *text);
void line_number(struct line *line, const char *key, uint64_t number);

/* Adds a list of texts, one at a time; false when the line has no room for this one: then it is not there. */
void line_list_begin(struct line *line, const char *key);
bool line_list_add(struct line *line, const char *text);
void line_list_end(struct line *line);

/* Closes the object and ends the line. */
void line_end(struct line *line);

#endif
