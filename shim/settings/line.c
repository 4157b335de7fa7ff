/* SPDX-License-Identifier: MIT */
/* What a line means, for whom, and what is wrong with it. All is the caller's. */
#include "settings/line.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 256 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

__attribute__((format(printf, 2, 3))) static void tell_line(
        struct settings_lines *lines, const char *format, ...)
{
	char path[SETTINGS_FILE_PATH_BYTES], text[TEXT_BYTES];
	va_list arguments;

	if (!lines->is_checked)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	settings_files_path(lines->reading, lines->file, path);
	settings_files_tell(lines->reading, path, lines->line, text);
}

/* Whether `text` is what the pattern describes: `*` is any text, `?` any character. At most their product of steps. */
static bool is_like(const char *pattern, const char *text)
{
	const char *star = NULL, *again = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			again = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++again;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

/* Cuts the blanks off both ends. */
static char *trim(char *text)
{
	size_t bytes;

	while (is_blank(*text))
		text++;
	for (bytes = strlen(text); bytes > 0 && is_blank(text[bytes - 1]);)
		bytes--;
	text[bytes] = '\0';
	return text;
}

/* Lines of a rank follow, for this program or not. */
static void enter_section(struct settings_lines *lines, unsigned char rank, bool is_meant)
{
	lines->rank = rank;
	lines->applies = is_meant && (rank == SETTINGS_LABEL) == lines->is_second;
	lines->is_checked = lines->reading->checks_all ? !lines->is_second : lines->applies;
}

/* Tells what is wrong with a line that was, or may have been, a section's first: then what follows is for nobody. */
static void refuse_line(struct settings_lines *lines, const char *why, bool is_section)
{
	bool was_checked = lines->is_checked;

	lines->is_checked = !lines->is_second;
	tell_line(lines, "%s", why);
	lines->is_checked = was_checked;
	if (is_section)
		enter_section(lines, SETTINGS_DEFAULT, false);
}

static void take_section(struct settings_lines *lines, char *text)
{
	struct settings_reading *reading = lines->reading;
	char *end = strrchr(text, ']'), *name;

	if (end == NULL || end[1] != '\0') {
		refuse_line(lines, "a section's first line ends in `]'", true);
		return;
	}
	*end = '\0';
	text = trim(text + 1);
	name = text + strcspn(text, " \t");
	if (*name != '\0')
		*name++ = '\0';
	name = trim(name);
	if (strcmp(text, "program") == 0 && *name != '\0') {
		enter_section(lines, SETTINGS_PROGRAM, is_like(name, reading->program));
	} else if (strcmp(text, "label") == 0 && *name != '\0') {
		reading->has_labels = true;
		enter_section(
		        lines, SETTINGS_LABEL, reading->label[0] != '\0' && is_like(name, reading->label));
	} else {
		refuse_line(lines, "a section is [program NAME] or [label NAME]", true);
	}
}

/* Takes a setting with a good value; "": the default. */
static void take_setting(struct settings_lines *lines, enum setting_place place, const char *value)
{
	struct settings_reading *reading = lines->reading;
	struct settings_source *source = &reading->source[place];

	if (!lines->applies || lines->rank < source->rank)
		return;
	*source = (struct settings_source){lines->rank, lines->file,
	        (unsigned short)(lines->line < USHRT_MAX ? lines->line : USHRT_MAX)};
	if (place == SETTING_label)
		memcpy(reading->label, value, strlen(value) + 1);
	reading->take(reading->context, place, value[0] != '\0' ? value : NULL);
}

static void take_value(struct settings_lines *lines, const char *name, const char *value)
{
	size_t bytes = strlen(name);
	bool is_variable = strncmp(name, "COPOOL_", 7) == 0;
	const struct setting *setting = setting_nearest(name, bytes, is_variable);
	unsigned number;
	const char *why;

	if (strcmp(name, setting->name) != 0)
		tell_line(lines, "there is no setting `%.100s'; did you mean %s?", name, setting->name);
	else if (setting == &settings[SETTING_config])
		tell_line(lines, "only the environment can name another file");
	else if (setting == &settings[SETTING_label] && lines->rank == SETTINGS_LABEL)
		tell_line(lines, "a section for a label cannot change the label");
	else if (value[0] != '\0' && (why = setting_read(setting, value, &number)) != NULL)
		tell_line(lines, "%s = %.100s: %s; it should be %s", name, value, why, setting->range);
	else
		take_setting(lines, (enum setting_place)(setting - settings), value);
}

/* A comment begins with `#`, at the beginning or after a blank. */
static void cut_comment(char *text)
{
	for (char *mark = strchr(text, '#'); mark != NULL; mark = strchr(mark + 1, '#')) {
		if (mark == text || is_blank(mark[-1])) {
			*mark = '\0';
			return;
		}
	}
}

/* The line without the mark that some editors put at the start of a file, to say that it is UTF-8. */
static char *start_of_line(struct settings_lines *lines)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t bytes = sizeof mark - 1;

	return lines->text + (lines->line == 1 && strncmp(lines->text, mark, bytes) == 0 ? bytes : 0);
}

static void take_line(struct settings_lines *lines)
{
	static const char usage[] = "a line is NAME = VALUE, [program NAME] or [label NAME]";
	char *text, *equals;

	lines->text[lines->used] = '\0';
	text = start_of_line(lines);
	if (lines->is_cut || strlen(lines->text) != lines->used) {
		refuse_line(lines,
		        lines->is_cut ? "the line is longer than 1023 bytes" : "the line has a zero byte",
		        *trim(text) == '[');
		return;
	}
	cut_comment(text);
	text = trim(text);
	equals = strchr(text, '=');
	if (*text == '\0')
		return;
	if (*text == '[') {
		take_section(lines, text);
	} else if (equals == NULL && strpbrk(text, "[]") != NULL) {
		refuse_line(lines, usage, true);
	} else if (equals == NULL) {
		tell_line(lines, "%s", usage);
	} else {
		*equals = '\0';
		take_value(lines, trim(text), trim(equals + 1));
	}
}

void settings_lines_take(struct settings_lines *lines, const char *piece, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (piece[i] == '\n') {
			take_line(lines);
			lines->line++;
			lines->used = 0;
			lines->is_cut = false;
		} else if (lines->used < sizeof lines->text - 1) {
			lines->text[lines->used++] = piece[i];
		} else {
			lines->is_cut = true;
		}
	}
}

void settings_lines_begin(
        struct settings_lines *lines, struct settings_reading *reading, bool is_second, unsigned file)
{
	lines->reading = reading;
	lines->is_second = is_second;
	lines->file = (unsigned char)file;
	lines->line = 1;
	lines->is_cut = false;
	lines->used = 0;
	enter_section(lines, SETTINGS_EVERY, true);
}

void settings_lines_end(struct settings_lines *lines, int error)
{
	if (error != 0) {
		refuse_line(lines, strerrordesc_np(error), false);
	} else if (lines->used > 0) {
		take_line(lines);
	}
}
