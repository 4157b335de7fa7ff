/* SPDX-License-Identifier: MIT */
/* Builds one line of the log, a flat JSON object. The caller owns it. Nothing here allocates or uses the locale. */
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

/* Adds a pair. Texts are escaped, made UTF-8 if they are not, and cut if the line would become too long. */
void line_text(struct line *line, const char *key, const char *text);
void line_number(struct line *line, const char *key, uint64_t number);

/* Adds a list of texts, one at a time. False: there was no room for this one, and it was not added. */
void line_list_begin(struct line *line, const char *key);
bool line_list_add(struct line *line, const char *text);
void line_list_end(struct line *line);

/* Closes the object and ends the line. */
void line_end(struct line *line);

#endif
