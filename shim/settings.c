/* SPDX-License-Identifier: MIT */
/* The table of settings, and what their values must be. The library and `copool` both have it. */
#include "settings.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE = true, FIXED = false };

/* clang-format off */
#define NUMBER(id, in_environment, option, help, more, zero, from, to, unit, usual, live)                    \
	[SETTING_##id] = {.name = #id, .variable = in_environment, .kind = SETTING_NUMBER,                   \
		.range = zero #from " to " #to unit, .low = from, .high = to, .standard = usual,             \
		.has_zero = sizeof zero > 1, .is_live = live},
#define SWITCH(id, in_environment, ...)                                                                      \
	[SETTING_##id] = {.name = #id, .variable = in_environment, .kind = SETTING_SWITCH,                   \
		.range = "0 or 1", .high = 1},
#define WORD(id, in_environment, option, help, more, list)                                                   \
	[SETTING_##id] = {.name = #id, .variable = in_environment, .kind = SETTING_WORD,                     \
		.range = "one of " list, .words = list},
#define TEXT(id, in_environment, option, help, more, room, value)                                            \
	[SETTING_##id] = {.name = #id, .variable = in_environment, .kind = SETTING_TEXT,                     \
		.range = value, .bytes = room},
/* clang-format on */

const struct setting settings[SETTINGS_ALL] = {SETTINGS(NUMBER, SWITCH, WORD, TEXT)};

static const char *read_number(const struct setting *setting, const char *value, unsigned *number)
{
	/* strtoull returns ULLONG_MAX for what is larger, and that is out of range. */
	unsigned long long parsed = strtoull(value, NULL, 10);

	if (value[strspn(value, "0123456789")] != '\0')
		return "not a whole number";
	if ((parsed < setting->low || parsed > setting->high) && (parsed != 0 || !setting->has_zero))
		return "out of range";
	*number = (unsigned)parsed;
	return NULL;
}

static const char *read_word(const struct setting *setting, const char *value, unsigned *number)
{
	const char *word = setting->words;
	size_t bytes = strlen(value);

	for (unsigned i = 0;; i++) {
		size_t length = strcspn(word, ",");

		if (length == bytes && memcmp(word, value, bytes) == 0) {
			*number = i;
			return NULL;
		}
		if (word[length] == '\0')
			return "not a known word";
		word += length + strlen(", ");
	}
}

const char *setting_read(const struct setting *setting, const char *value, unsigned *number)
{
	if (value[0] == '\0')
		return "empty";
	if (setting->kind == SETTING_WORD)
		return read_word(setting, value, number);
	if (setting->kind == SETTING_TEXT)
		return strlen(value) < setting->bytes ? NULL : "too long";
	return read_number(setting, value, number);
}

/* Returns how many letters differ between the common start and the common end of two names. */
static size_t difference(const char *name, size_t bytes, const char *known)
{
	size_t start = 0, end = 0, other = strlen(known);

	while (start < bytes && start < other && name[start] == known[start])
		start++;
	while (end < bytes - start && end < other - start && name[bytes - 1 - end] == known[other - 1 - end])
		end++;
	return (bytes > other ? bytes : other) - start - end;
}

const struct setting *setting_nearest(const char *word, size_t bytes, bool is_variable)
{
	size_t nearest = 0, least = SIZE_MAX;

	/* Right names are the usual case, at the start of every program. */
	for (size_t i = 0; i < SETTINGS_ALL; i++) {
		const char *name = is_variable ? settings[i].variable : settings[i].name;

		if (strncmp(name, word, bytes) == 0 && name[bytes] == '\0')
			return &settings[i];
	}
	for (size_t i = 0; i < SETTINGS_ALL; i++) {
		size_t differs =
		        difference(word, bytes, is_variable ? settings[i].variable : settings[i].name);

		if (differs < least) {
			nearest = i;
			least = differs;
		}
	}
	return &settings[nearest];
}
