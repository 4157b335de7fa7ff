/* SPDX-License-Identifier: MIT */
#include "report/utf8.h"

#include "report/unsafe_text.h"

#include <string.h>

/* Whether `count` continuation bytes follow the first byte. */
static bool has_more(const unsigned char *text, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

size_t utf8_bytes(const unsigned char *text)
{
	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] < 0xe0 && has_more(text, 1))
		return 2;
	if (text[0] >= 0xe0 && text[0] < 0xf0 && has_more(text, 2) && !(text[0] == 0xe0 && text[1] < 0xa0) &&
	        !(text[0] == 0xed && text[1] >= 0xa0))
		return 3;
	if (text[0] >= 0xf0 && text[0] < 0xf5 && has_more(text, 3) && !(text[0] == 0xf0 && text[1] < 0x90) &&
	        !(text[0] == 0xf4 && text[1] >= 0x90))
		return 4;
	return 0;
}

uint32_t utf8_code(const unsigned char *text)
{
	static const unsigned char first_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t bytes = utf8_bytes(text);
	uint32_t code = text[0] & first_mask[bytes];

	for (size_t i = 1; i < bytes; i++)
		code = code << 6 | (text[i] & 0x3f);
	return code;
}

bool utf8_is_plain(const unsigned char *text)
{
	return !is_unsafe_text(utf8_code(text));
}

size_t utf8_clean(char *text, size_t bytes)
{
	size_t from = 0, to = 0;

	while (from < bytes) {
		const unsigned char *at = (const unsigned char *)text + from;
		size_t whole = utf8_bytes(at);

		if (utf8_is_plain(at)) {
			memmove(text + to, text + from, whole);
			to += whole;
		} else {
			text[to++] = '?';
		}
		from += whole > 0 ? whole : 1;
	}
	return to;
}
