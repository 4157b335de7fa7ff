/* SPDX-License-Identifier: MIT */
#include "doctor/sheet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean.h"

static json_t *need(json_t *value)
{
	if (value == NULL) {
		fprintf(stderr, "copool doctor: out of memory\n");
		exit(1);
	}
	return value;
}

void sheet_begin(struct sheet *sheet)
{
	*sheet = (struct sheet){need(json_object()), need(json_array()), need(json_array())};
}

void sheet_end(struct sheet *sheet)
{
	json_decref(sheet->facts);
	json_decref(sheet->findings);
	json_decref(sheet->unread);
}

/* A string of text that is cleaned where it is no UTF-8. */
static json_t *string_of(const char *text)
{
	json_t *string = json_string(text);

	return need(string != NULL ? string : json_string(clean(text)));
}

void sheet_set(struct sheet *sheet, const char *group, const char *key, json_t *value)
{
	json_t *of = json_object_get(sheet->facts, group);

	if (of == NULL) {
		of = need(json_object());
		json_object_set_new(sheet->facts, group, of);
	}
	json_object_set_new(of, key, value != NULL ? value : json_null());
}

void sheet_text(struct sheet *sheet, const char *group, const char *key, const char *text)
{
	sheet_set(sheet, group, key, text != NULL ? string_of(text) : NULL);
}

const json_t *sheet_get(const struct sheet *sheet, const char *group, const char *key)
{
	const json_t *value = json_object_get(json_object_get(sheet->facts, group), key);

	return json_is_null(value) ? NULL : value;
}

const char *sheet_get_text(const struct sheet *sheet, const char *group, const char *key)
{
	return json_string_value(sheet_get(sheet, group, key));
}

/* NULL if there is no memory. */
__attribute__((format(printf, 1, 0))) static char *write_text(const char *format, va_list arguments)
{
	char *text;

	return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

void sheet_append(json_t *array, const char *text)
{
	json_array_append_new(array, string_of(text));
}

void sheet_find(struct sheet *sheet, enum sheet_level level, const char *code, const char *format, ...)
{
	json_t *finding = need(json_object());
	va_list arguments;

	va_start(arguments, format);
	char *text = write_text(format, arguments);
	va_end(arguments);
	json_object_set_new(finding, "level", string_of(level == SHEET_BAR ? "in_the_way" : "note"));
	json_object_set_new(finding, "code", string_of(code));
	json_object_set_new(finding, "text", string_of(text != NULL ? text : code));
	json_array_append_new(sheet->findings, finding);
	free(text);
}

const char *sheet_bar(const struct sheet *sheet)
{
	for (size_t i = 0; i < json_array_size(sheet->findings); i++) {
		const json_t *finding = json_array_get(sheet->findings, i);

		if (strcmp(json_string_value(json_object_get(finding, "level")), "in_the_way") == 0)
			return json_string_value(json_object_get(finding, "text"));
	}
	return NULL;
}

bool sheet_has(const struct sheet *sheet, const char *code)
{
	for (size_t i = 0; i < json_array_size(sheet->findings); i++) {
		const json_t *finding = json_array_get(sheet->findings, i);

		if (strcmp(json_string_value(json_object_get(finding, "code")), code) == 0)
			return true;
	}
	return false;
}

void sheet_unread(struct sheet *sheet, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = write_text(format, arguments);
	va_end(arguments);
	if (text != NULL)
		sheet_append(sheet->unread, text);
	free(text);
}
