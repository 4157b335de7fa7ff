/* SPDX-License-Identifier: MIT */
/* Writes JSON: escapes as in RFC 8259; bytes that are not UTF-8 become U+FFFD. */
#include "report/line.h"

#include "system/clock.h"
#include "report/utf8.h"

#include <stdio.h>
#include <string.h>

/* Kept free for what follows a text that was cut: a quote, numbers, the closing brace. */
enum { LINE_RESERVE = 1024 };

static void put(struct line *line, const char *text, size_t bytes)
{
	if (bytes > sizeof line->text - line->used)
		bytes = sizeof line->text - line->used;
	memcpy(line->text + line->used, text, bytes);
	line->used += bytes;
}

static void put_key(struct line *line, const char *key)
{
	if (line->used > 1)
		put(line, ",", 1);
	put(line, "\"", 1);
	put(line, key, strlen(key));
	put(line, "\":", 2);
}

/* A character that could steer a terminal. Above U+FFFF two surrogates stand for it. */
static void put_escaped(struct line *line, uint32_t code)
{
	char escaped[16];

	if (code < 0x10000)
		put(line, escaped, snprintf(escaped, sizeof escaped, "\\u%04x", code));
	else
		put(line, escaped,
		        snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10),
		                0xdc00 + (code & 0x3ff)));
}

/* Writes one character, escaped if necessary. Returns how many bytes of the text it had. */
static size_t put_character(struct line *line, const unsigned char *text)
{
	size_t bytes = utf8_bytes(text);
	char escaped[8];

	if (bytes == 0)
		put(line, "\\ufffd", 6);
	else if (*text == '"' || *text == '\\')
		put(line, escaped, snprintf(escaped, sizeof escaped, "\\%c", *text));
	else if (!utf8_is_plain(text))
		put_escaped(line, utf8_code(text));
	else
		put(line, (const char *)text, bytes);
	return bytes > 0 ? bytes : 1;
}

static void put_text(struct line *line, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	put(line, "\"", 1);
	while (*at != '\0' && line->used < sizeof line->text - LINE_RESERVE)
		at += put_character(line, at);
	put(line, "\"", 1);
}

void line_text(struct line *line, const char *key, const char *text)
{
	put_key(line, key);
	put_text(line, text);
}

void line_list_begin(struct line *line, const char *key)
{
	put_key(line, key);
	put(line, "[", 1);
}

bool line_list_add(struct line *line, const char *text)
{
	if (line->used >= sizeof line->text - LINE_RESERVE)
		return false;
	if (line->text[line->used - 1] != '[')
		put(line, ",", 1);
	put_text(line, text);
	return true;
}

void line_list_end(struct line *line)
{
	put(line, "]", 1);
}

void line_number(struct line *line, const char *key, uint64_t number)
{
	char digits[24];

	put_key(line, key);
	put(line, digits, snprintf(digits, sizeof digits, "%llu", (unsigned long long)number));
}

void line_begin(struct line *line, const char *type)
{
	struct timespec now = clock_wall();
	char seconds[40];

	line->used = 0;
	put(line, "{", 1);
	line_text(line, RECORD_KEY_TYPE, type);
	put_key(line, RECORD_KEY_TIME);
	put(line, seconds,
	        snprintf(
	                seconds, sizeof seconds, "%lld.%03ld", (long long)now.tv_sec, now.tv_nsec / 1000000));
	line_number(line, RECORD_KEY_PID, clock_pid());
}

void line_end(struct line *line)
{
	if (line->used > sizeof line->text - 2)
		line->used = sizeof line->text - 2;
	put(line, "}\n", 2);
}
